//! A stamped test stream on a real RTSP server, in a process of its own: the example `stamped_server`, which cargo builds
//! with the tests.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpSocket;

use crate::client::hold_port;

/// The size of the test stream.
pub(crate) const WIDTH: usize = 640;
pub(crate) const HEIGHT: usize = 360;

const HEAVY: [&str; 7] = ["--size", "1280", "720", "--fps", "60", "--gop", "1800"];

/// What the server does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Refuse UDP.
    pub(crate) tcp_only: bool,
    /// Leave these frame numbers out, as a feed that is gone for a while.
    pub(crate) silent: Option<(u32, u32)>,
    /// 1280x720 at 60 frames a second instead of 640x360 at 30, with a key frame every half minute and where one is asked for.
    pub(crate) heavy: bool,
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    /// Its port, which is nobody else's while it does not run.
    held: Arc<TcpSocket>,
    options: Options,
    scheme: &'static str,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        Self::start_with(options, &[])
    }

    /// With more flags of the example.
    pub(crate) fn start_with(options: Options, more: &[&str]) -> Self {
        let (held, _) = hold_port();
        Self::run(Arc::new(held), options, more)
    }

    fn run(held: Arc<TcpSocket>, options: Options, more: &[&str]) -> Self {
        let port = held.local_addr().unwrap().port();
        let (first, end) = options.silent.unwrap_or_default();
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.set_file_name("examples");
        path.push("stamped_server");
        let mut child = Command::new(path)
            .args(["--port", &port.to_string()])
            .args(options.tcp_only.then_some("--tcp-only"))
            .args(["--silent", &first.to_string(), &end.to_string()])
            .args(options.heavy.then_some(HEAVY).into_iter().flatten())
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example is built");
        BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("listening on "))
            .expect("the server says that it listens");
        Self {
            child,
            held,
            options,
            scheme: if more.contains(&"--tls") {
                "rtsps"
            } else {
                "rtsp"
            },
        }
    }

    pub(crate) fn url(&self) -> String {
        let address = self.held.local_addr().unwrap();
        format!("{}://{address}/test", self.scheme)
    }

    /// SIGKILL, and the same server again on the same port.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        *self = Self::run(Arc::clone(&self.held), self.options, &[]);
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
