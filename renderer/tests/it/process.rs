//! The renderer as a process: started, asked, ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Far beyond what anything awaited here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What an end may take: the grace of three seconds, and what a busy machine adds to it. Whether the grace was kept to is what the
/// exit code says, by the renderer's own clock.
pub(crate) const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// A running renderer; dropping it kills it.
pub(crate) struct Renderer {
    child: Child,
    ready: serde_json::Value,
    stderr: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// The renderer with these arguments, for a small picture and any ops port.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xr-renderer"));
    command.args(arguments).envs([
        ("XR_OPS", "127.0.0.1:0"),
        ("XR_SIZE", "640x360"),
        ("XR_BITRATE", "2M"),
    ]);
    command
        .env("G_DEBUG", "fatal_warnings")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Renderer {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (kept, from) = (Arc::clone(&stderr), child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{line:?}: {}", stderr.lock().unwrap()));
        Self {
            child,
            ready,
            stderr,
            reader: Some(reader),
        }
    }

    /// Waits until it has said `words` on stderr.
    pub(crate) fn wait_for_words(&self, words: &str) {
        eventually(words, || self.stderr.lock().unwrap().contains(words));
    }

    /// What the ops port answers to a request for `path`.
    fn ask(&self, path: &str) -> String {
        let address = self.ready["ops"].as_str().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// The status of `/ready`.
    pub(crate) fn ready_status(&self) -> u16 {
        let answer = self.ask("/ready");
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The value of a metric, 0 if it has not been counted yet.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.ask("/metrics");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.map_or(0.0, |value| value.parse::<f64>().unwrap());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts and bytes"
        )]
        let value = value as u64;
        value
    }

    /// Sends SIGTERM, and gives how it ended, how long that took, and all that it said.
    pub(crate) fn terminate(mut self) -> (ExitStatus, Duration, String) {
        let begin = Instant::now();
        kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGTERM,
        )
        .unwrap();
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let said = self.stderr.lock().unwrap().clone();
        (status, begin.elapsed(), said)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        let said = self.stderr.lock().unwrap().clone();
        (status, said)
    }
}

impl Drop for Renderer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `what` holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < PATIENCE,
            "not within {} s: {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
