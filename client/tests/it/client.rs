//! xr-client as a child process.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use timeline::frames_csv::{FrameReader, FrameRow};

/// A port that nobody else draws while the socket lives. Connections are refused until somebody who is told of it listens there.
pub(crate) fn hold_port() -> (tokio::net::TcpSocket, SocketAddr) {
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

/// Longer than anything here takes, on a machine that builds something else at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A running client; killed when dropped.
pub(crate) struct Client {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    stdout: BufReader<std::process::ChildStdout>,
    pub(crate) ops: String,
}

/// A client that ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn summary(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xr-client"));
    command
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("XR_")) {
        command.env_remove(name);
    }
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// Runs a client that ends by itself before it announces that it is ready.
pub(crate) fn refuse(args: &[&str]) -> Ended {
    refuse_in(args, &[])
}

/// With variables added to its environment.
pub(crate) fn refuse_in(args: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = command(args).envs(env.iter().copied()).output().unwrap();
    Ended {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Client {
    pub(crate) fn start(url: &str, more: &[&str]) -> Self {
        Self::start_in(url, more, &[])
    }

    /// With variables added to its environment.
    pub(crate) fn start_in(url: &str, more: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = command(&["--url", url, "--ops", "127.0.0.1:0", "--json"])
            .args(more)
            .envs(env.iter().copied())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = child.kill();
            panic!("{error}: {line:?}")
        });
        assert_eq!(ready["program"], "xr-client");
        let ops = ready["ops"].as_str().unwrap().to_owned();
        Self {
            child,
            stderr: Some(stderr),
            stdout,
            ops,
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended {
            status,
            stdout,
            stderr,
        }
    }

    /// Takes all processor time from it.
    pub(crate) fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// SIGTERM, and its end: within the three seconds of its grace, and what a busy machine adds to them.
    pub(crate) fn terminate(self) -> Ended {
        let begun = Instant::now();
        kill(self.pid(), Signal::SIGTERM).unwrap();
        let ended = self.wait();
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{:?}\n{}",
            begun.elapsed(),
            ended.stderr
        );
        ended
    }

    /// What the ops port answers, headers and all.
    pub(crate) fn ask(&self, path: &str) -> String {
        let mut stream = std::net::TcpStream::connect(&self.ops).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Client {
    /// Waits until `/ready` says that there is no stream because of `why`.
    pub(crate) fn await_reason(&self, why: &str) {
        let begun = Instant::now();
        loop {
            let says = self.ask("/ready");
            if says.contains(why) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "not {why:?}, but {says}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows of a frames file so far.
pub(crate) fn rows(path: &Path) -> Vec<FrameRow> {
    let file = BufReader::new(std::fs::File::open(path).unwrap());
    FrameReader::new(file)
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// Waits until the file's rows satisfy `enough`, which it returns.
pub(crate) fn await_rows(
    path: &Path,
    what: &str,
    enough: impl Fn(&[FrameRow]) -> bool,
) -> Vec<FrameRow> {
    let begun = Instant::now();
    loop {
        let rows = rows(path);
        if enough(&rows) {
            return rows;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}; {} rows",
            rows.len()
        );
        // Looking at a file that another process writes; nothing is assumed of how long that takes.
        std::thread::park_timeout(Duration::from_millis(50));
    }
}
