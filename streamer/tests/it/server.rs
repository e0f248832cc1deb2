//! A streamer on free ports, stopped when it is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far beyond what anything awaited here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What an end may take: the grace of three seconds, and what a busy machine adds to it. Whether the grace was kept to is what the
/// exit code says, by the streamer's own clock: it is 1 where something was cut off.
pub(crate) const ENDED_WITHIN: Duration = Duration::from_secs(10);

/// Any port of this machine's own.
const HERE: &str = "127.0.0.1:0";

pub(crate) struct Streamer {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) rtsp: SocketAddr,
    pub(crate) ops: SocketAddr,
    /// What it said when it was ready.
    pub(crate) ready: serde_json::Value,
}

impl Streamer {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with_log(args, Stdio::inherit())
    }

    /// One that listens at every address, of both families.
    pub(crate) fn start_everywhere() -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_xr-streamer"));
        Self::run(command, "[::]:0", &[])
    }

    pub(crate) fn start_with_log(args: &[&str], log: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xr-streamer"));
        command.stderr(log);
        Self::run(command, HERE, args)
    }

    /// A streamer of a user whom the system's limits bind.
    pub(crate) fn start_bound(args: &[&str]) -> Self {
        Self::run(bound(env!("CARGO_BIN_EXE_xr-streamer")), HERE, args)
    }

    /// From now on the system lets it start no thread; it was started with [`Streamer::start_bound`].
    pub(crate) fn forbid_threads(&self) {
        let mut prlimit = bound("prlimit");
        let status = prlimit
            .args(["--nproc=1:1", "--pid", &self.child.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }

    fn run(mut command: Command, listen: &str, args: &[&str]) -> Self {
        let mut child = command
            .args(["--http", listen, "--rtsp", listen, "--ops", HERE])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).expect("the ready line is JSON");
        let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
        let (http, rtsp, ops) = (address("http"), address("rtsp"), address("ops"));
        Self {
            child,
            http,
            rtsp,
            ops,
            ready,
        }
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("rtsp://{}/{name}", self.rtsp)
    }

    pub(crate) fn feed_url(&self, name: &str) -> String {
        format!("http://{}/feeds/{name}", self.http)
    }

    /// The value of a metric line that begins with `line`.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let (_, body) = get(self.ops, "/metrics");
        let value = body
            .lines()
            .find_map(|have| have.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until `what` holds.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_frames(&self, name: &str, count: u64) {
        self.wait("frames", |streamer| {
            let (_, body) = get(streamer.http, "/feeds");
            let listed: serde_json::Value = serde_json::from_str(&body).unwrap();
            let feed = listed
                .as_array()
                .unwrap()
                .iter()
                .find(|feed| feed["name"] == name);
            feed.is_some_and(|feed| feed["frames"].as_u64().unwrap() >= count)
        });
    }

    pub(crate) fn state(&self, name: &str) -> String {
        let (_, body) = get(self.http, "/feeds");
        let listed: serde_json::Value = serde_json::from_str(&body).unwrap();
        let feed = listed
            .as_array()
            .unwrap()
            .iter()
            .find(|feed| feed["name"] == name);
        feed.map_or_else(String::new, |feed| {
            feed["state"].as_str().unwrap().to_owned()
        })
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGTERM, and returns how long the end took, and the exit code.
    pub(crate) fn terminate(&mut self) -> (Duration, Option<i32>) {
        let begun = Instant::now();
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        (begun.elapsed(), status.code())
    }
}

/// A command of a plain user: limits do not bind root.
fn bound(program: &str) -> Command {
    let mut command = Command::new(program);
    if nix::unistd::geteuid().is_root() {
        command.uid(61_834);
    }
    command
}

impl Drop for Streamer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of a `GET`.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    answer(&mut stream)
}

/// Status and body of an answer that ends with its connection or its content length.
pub(crate) fn answer(stream: &mut TcpStream) -> (u16, String) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(|length| length.trim().parse::<usize>().unwrap())
            });
            if let Some(length) = length.filter(|length| body.len() >= *length) {
                return (status(&text), body[..length].to_owned());
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend(&piece[..count]),
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body = text
        .split_once("\r\n\r\n")
        .map_or(String::new(), |(_, body)| body.to_owned());
    (status(&text), body)
}

fn status(text: &str) -> u16 {
    text.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}
