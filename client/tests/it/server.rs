//! A stamped test stream on a real RTSP server, in a process of its own: the example `stamped_server`, which cargo builds
//! with the tests.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The size of the test stream.
pub(crate) const WIDTH: usize = 640;
pub(crate) const HEIGHT: usize = 360;

const HEAVY: [&str; 7] = ["--size", "1280", "720", "--fps", "60", "--gop", "600"];

/// What the server does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// 0 takes a free one.
    pub(crate) port: u16,
    /// Refuse UDP.
    pub(crate) tcp_only: bool,
    /// Leave these frame numbers out, as a feed that is gone for a while.
    pub(crate) silent: Option<(u32, u32)>,
    /// 1280x720 at 60 frames a second instead of 640x360 at 30, with a key frame every ten seconds and where one is asked for.
    pub(crate) heavy: bool,
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    options: Options,
    scheme: &'static str,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        Self::start_with(options, &[])
    }

    /// With more flags of the example.
    pub(crate) fn start_with(options: Options, more: &[&str]) -> Self {
        let (first, end) = options.silent.unwrap_or_default();
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.set_file_name("examples");
        path.push("stamped_server");
        let mut child = Command::new(path)
            .args(["--port", &options.port.to_string()])
            .args(options.tcp_only.then_some("--tcp-only"))
            .args(["--silent", &first.to_string(), &end.to_string()])
            .args(options.heavy.then_some(HEAVY).into_iter().flatten())
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example is built");
        let port = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("listening on ")
                    .map(|(_, port)| port.parse::<u16>().unwrap())
            })
            .expect("the server says where it listens");
        Self {
            child,
            port,
            options,
            scheme: if more.contains(&"--tls") {
                "rtsps"
            } else {
                "rtsp"
            },
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}/test", self.scheme, self.port)
    }

    /// SIGKILL, and the same server again on the same port.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        *self = Self::start(Options {
            port: self.port,
            ..self.options
        });
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as a machine that is gone does: no packet, no answer, no reset.
    pub(crate) fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
