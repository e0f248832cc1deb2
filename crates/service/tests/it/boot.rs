//! A real process from its arguments to its exit code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Far beyond what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The example `idle`, which cargo builds with the tests.
fn idle(args: &[&str]) -> Command {
    let mut path: PathBuf = std::env::current_exe().expect("a test is a file");
    path.pop();
    path.set_file_name("examples");
    path.push("idle");
    let mut command = Command::new(path);
    command
        .args(args)
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(args: &[&str]) -> (i32, String, String) {
    told(&idle(args).output().expect("the example is built"))
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Starts it and waits for its ready line.
fn running(
    args: &[&str],
) -> (
    Child,
    BufReader<std::process::ChildStdout>,
    serde_json::Value,
) {
    let mut child = idle(args).spawn().expect("the example is built");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("stdout is text");
    let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    (child, stdout, ready)
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
}

fn end(mut child: Child, mut stdout: impl std::io::Read) -> (i32, String) {
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("stdout is text");
    assert_eq!(rest, "", "stdout holds the ready line only");
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .expect("it is piped")
        .read_to_string(&mut stderr)
        .expect("stderr is text");
    let status = child.wait().expect("it was started here");
    (status.code().unwrap_or(-1), stderr)
}

#[test]
fn a_signal_drains_and_exits_0() {
    for which in [Signal::SIGTERM, Signal::SIGINT] {
        let (child, stdout, ready) = running(&["--drain-ms", "200"]);
        assert_eq!(
            (&ready["event"], &ready["program"]),
            (&"ready".into(), &"idle".into())
        );
        assert!(!ready["ops"].as_str().unwrap().ends_with(":0"), "{ready}");
        signal(&child, which);
        let (code, stderr) = end(child, stdout);
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains(which.as_str()), "{stderr}");
    }
}

#[test]
fn a_drain_without_end_is_cut_off_and_told() {
    let (child, stdout, _) = running(&["--drain-ms", "60000"]);
    let begun = Instant::now();
    signal(&child, Signal::SIGTERM);
    let (code, stderr) = end(child, stdout);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("not drained 3000 ms after the signal"),
        "{stderr}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(3) && begun.elapsed() < PATIENCE);
}

#[test]
fn a_second_signal_ends_at_once() {
    let (mut child, stdout, _) = running(&["--drain-ms", "60000"]);
    let begun = Instant::now();
    signal(&child, Signal::SIGTERM);
    let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert!(line.contains("a second signal ends at once"), "{line}");
    signal(&child, Signal::SIGINT);
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    // With its time and target a line is some hundred bytes: a pipe holds 64 KiB, and the queue 256 KiB.
    let (mut child, stdout, ready) =
        running(&["--drain-ms", "0", "--log", "debug", "--log-lines", "5000"]);
    let address = ready["ops"].as_str().unwrap().parse().unwrap();
    assert!(get(address, "/live").starts_with("HTTP/1.1 200"));
    let lines_lost = |metrics: &str| {
        let name = "xr_log_lines_dropped_total ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().parse::<u64>().unwrap()
    };
    let begun = Instant::now();
    while lines_lost(&get(address, "/metrics")) == 0 {
        assert!(begun.elapsed() < PATIENCE);
    }
    let begun = Instant::now();
    signal(&child, Signal::SIGTERM);
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

/// The answer to a `GET`, which does not wait for anything.
fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("it serves");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a limit above 0");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("an answer in time");
    answer
}

#[test]
fn what_was_logged_is_written_before_the_end() {
    let (child, stdout, _) = running(&["--drain-ms", "0", "--log", "debug", "--log-lines", "100"]);
    signal(&child, Signal::SIGTERM);
    let (code, stderr) = end(child, stdout);
    assert_eq!(code, 0);
    assert_eq!(stderr.matches("nothing is done").count(), 100);
    assert!(stderr.contains("SIGTERM"), "{stderr}");
    let (code, _, stderr) = output(&[
        "--drain-ms",
        "0",
        "--log",
        "debug",
        "--log-lines",
        "9",
        "--panic",
    ]);
    assert_eq!(code, 101);
    let (log, panic) = stderr.split_once("thread 'main' panicked at").unwrap();
    assert_eq!(log.matches("nothing is done").count(), 9);
    assert!(panic.contains("it was asked to"), "{stderr}");
}

#[test]
fn who_is_refused_over_and_over_does_not_fill_the_log() {
    let (child, stdout, ready) = running(&["--drain-ms", "0", "--refusals", "500"]);
    let address = ready["ops"].as_str().unwrap().parse().unwrap();
    let begun = Instant::now();
    while !get(address, "/metrics").contains("xr_log_lines_dropped_total 450\n") {
        assert!(begun.elapsed() < PATIENCE);
    }
    signal(&child, Signal::SIGTERM);
    let (_, stderr) = end(child, stdout);
    assert_eq!(stderr.matches("somebody was refused").count(), 50);
    assert!(
        stderr.contains("more than 50 lines like the last"),
        "{stderr}"
    );
    assert!(stderr.contains("SIGTERM"), "other lines come: {stderr}");
}

#[test]
fn wrong_arguments_exit_64_and_help_exits_0() {
    for wrong in [
        &[][..],
        &["--drain-ms", "x"],
        &["--drain-ms", "1", "--nonsense"],
        &["--drain-ms", "1", "--ops", "9091"],
        &["--drain-ms", "1", "--log", "streamer=loud"],
        &["--drain-ms", "60001"],
        &["--completions", "tcsh"],
    ] {
        let (code, stdout, stderr) = output(wrong);
        assert_eq!((code, stdout.as_str()), (64, ""), "{wrong:?}: {stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
    }
    let (_, _, stderr) = output(&["--drain-ms", "60001"]);
    assert_eq!(
        stderr,
        "error: --drain-ms (XR_DRAIN_MS) is \"60001\": too long. Give at most 60000.\n"
    );
    for right in ["--help", "--version"] {
        assert_eq!(output(&[right]).0, 0);
    }
    let help = output(&["--help"]).1;
    assert!(
        help.contains("XR_OPS") && help.contains("127.0.0.1:0"),
        "{help}"
    );
}

#[test]
fn variables_stand_in_for_flags() {
    let told = told(&idle(&[]).env("XR_DRAIN_MS", "60001").output().unwrap());
    assert_eq!(told.0, 64, "{}", told.2);
}

#[test]
fn a_taken_port_exits_1_and_names_the_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, stderr) = output(&["--drain-ms", "1", "--ops", &address]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains(&address) && stderr.contains("--ops (XR_OPS)"),
        "{stderr}"
    );
}

#[test]
fn completions_need_no_other_argument() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = output(&["--completions", shell]);
        assert_eq!(code, 0);
        assert!(
            script.contains("drain-ms") && script.contains("idle"),
            "{shell}"
        );
    }
}

#[test]
fn a_closed_stdout_is_no_crash() {
    // A port that nobody else draws before the program listens there.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = held.local_addr().unwrap();
    let mut child = idle(&["--drain-ms", "0", "--ops", &address.to_string()])
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    // Without its ready line, its port tells that it handles signals.
    while std::net::TcpStream::connect(address).is_err() {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    signal(&child, Signal::SIGTERM);
    let (code, stderr) = end(child, std::io::empty());
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}
