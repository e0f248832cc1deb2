//! xr-collector as a process: what it says at its start, and what is in its folder after it was told to stop, or was killed.

mod full;
mod kills;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use timeline::{FrameNumber, FrameReport, Reading, RtpTimestamp, UnixMicros};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xr-collector"))
}

/// A collector on free ports, and where it takes reports.
fn start(out: &Path, more: &[&str]) -> (Running, String) {
    start_by(program(), out, more)
}

/// As [`start`], by a command that takes the collector's arguments.
fn start_by(mut command: Command, out: &Path, more: &[&str]) -> (Running, String) {
    let mut child = command
        .args(["--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--out"])
        .arg(out)
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let ready: serde_json::Value = serde_json::from_str(&line).expect("the ready line is JSON");
    let address = ready["listen"].as_str().expect("an address").to_owned();
    (Running(child), address)
}

/// A child that is killed where a test fails before it ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended is waited for once more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn post(address: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(40)))
        .expect("a limit");
    let length = body.len();
    write!(
        stream,
        "POST /frames/phone HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn what_was_posted_is_in_the_folder_after_sigterm() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("collected");
    let (mut child, address) = start(&out, &[]);
    let now = service::clock::now();
    let report = |sequence| FrameReport {
        sequence,
        rtp_timestamp: RtpTimestamp(u32::try_from(3000 * sequence).expect("few")),
        reading: Reading::Read {
            frame: FrameNumber(u32::try_from(sequence).expect("few")),
            generated: UnixMicros(now.0 - 100_000 + 33_333 * sequence),
        },
        received: None,
        decoded: now,
        shown: now,
    };
    let lines = (0..3).map(|sequence| serde_json::to_string(&report(sequence)).expect("JSON"));
    let answer = post(&address, &lines.collect::<Vec<_>>().join("\n"));
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("{\"next\":3}"),
        "{answer}"
    );
    let refused = post(&address, "hello");
    assert!(
        refused.starts_with("HTTP/1.1 400") && refused.contains("remedy"),
        "{refused}"
    );

    kill(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGTERM).expect("told to stop");
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
    let frames = out.join("collected/run-1/frames.csv");
    let text = std::fs::read_to_string(&frames).expect("it is written");
    assert_eq!(
        text.lines()
            .skip(1)
            .filter(|line| line.contains("shown"))
            .count(),
        3,
        "{text}"
    );
}

/// A service that does not answer and a client that does not finish cost a stop no more than its grace, and no frame.
#[test]
fn nobody_outside_holds_up_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("collected");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = format!("mute={}", silent.local_addr().expect("bound"));
    let (mut child, address) = start(&out, &["--scrape", &target]);
    let now = service::clock::now();
    let line = |sequence: u32| {
        let generated = UnixMicros(now.0 - 1_000_000 + 1_000 * u64::from(sequence));
        serde_json::to_string(&FrameReport {
            sequence: u64::from(sequence),
            rtp_timestamp: RtpTimestamp::from_generated(generated),
            reading: Reading::Read {
                frame: FrameNumber(sequence),
                generated,
            },
            received: None,
            decoded: now,
            shown: now,
        })
        .expect("JSON")
    };
    let lines: Vec<_> = (0..600).map(line).collect();
    let answer = post(&address, &lines.join("\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut half = TcpStream::connect(&address).expect("it listens");
    let said = b"POST /frames/other HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
    half.write_all(said).expect("sent");
    kill(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGTERM).expect("told to stop");
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
    let frames = out.join("collected/run-1/frames.csv");
    let text = std::fs::read_to_string(&frames).expect("it is written");
    let shown = text.lines().skip(1).filter(|line| line.contains("shown"));
    assert_eq!(shown.count(), 600);
}

/// A start that fails, and one that shows nothing, leave the folder to the next.
#[test]
fn a_start_that_failed_leaves_the_folder_to_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("collected");
    let holder = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holder.local_addr().expect("bound").to_string();
    let output = program()
        .args(["--ops", "127.0.0.1:0", "--listen", &taken, "--out"])
        .arg(&out)
        .output()
        .expect("it runs");
    drop(holder);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&taken) && text.contains("--listen"), "{text}");
    for _ in 0..2 {
        let (mut child, address) = start(&out, &[]);
        assert!(post(&address, "").starts_with("HTTP/1.1 200"));
        kill(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGTERM).expect("told to stop");
        assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
        assert!(out.join("collected/run-1/meta.json").is_file());
        assert!(!out.join("collected/run-2").exists(), "nothing was shown");
    }
}

#[test]
fn a_wrong_target_is_told_with_what_is_right() {
    let output = program()
        .args(["--scrape", "renderer"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("--scrape") && text.contains("renderer=renderer:9091"),
        "{text}"
    );
}
