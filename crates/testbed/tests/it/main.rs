//! Real processes under a testbed.

mod cgroups;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::{EventKind, Exit, NotReady, Placement, Spec, StartError, Testbed};
use timeline::UnixMicros;

/// What the tests start as a process of its own.
const HELPER: &str = env!("CARGO_BIN_EXE_testbed-helper");

fn quiet() -> Testbed {
    Testbed::new(Placement::Host, || UnixMicros(0), |_| {})
}

fn shell(dir: &Path, script: &str) -> Spec {
    Spec {
        args: vec!["-c".to_owned(), script.to_owned()],
        ..Spec::new("sh", "/bin/sh", dir.join("sh.log"))
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in 20 s"))
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Gone, or a zombie that waits to be reaped by whoever inherited it.
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Waits for something that has no event: the kernel tells nobody of another's process or counter.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    within(what, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn gone(pid: u32) {
    until("the end of the process", || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_process_says_it_is_ready_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let testbed = Testbed::new(
        Placement::Host,
        || UnixMicros(7),
        move |event| seen.lock().expect("events").push(event.kind),
    );
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let script = r#"trap 'echo bye; exit 0' TERM; echo hello; echo "$XR_WORD" >&2
        echo '{"event":"ready","ops":"127.0.0.1:9"}'; while :; do sleep 0.01; done"#;
    let spec = Spec {
        env: vec![("XR_WORD".to_owned(), "to the log".to_owned())],
        on_line: Some(Arc::new(move |line| {
            heard.lock().expect("lines").push(line.to_owned());
        })),
        ..shell(dir.path(), script)
    };
    let process = testbed.start(spec).expect("started");
    let ready = within("ready", process.ready(Duration::from_secs(10)))
        .await
        .expect("ready");
    assert_eq!(ready.text("ops"), Some("127.0.0.1:9"));
    let pid = process.pid().expect("alive");
    assert!(testbed::resources::sample(pid).expect("sampled").threads >= 1);
    let exit = within("the end", process.terminate(Duration::from_secs(10))).await;
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(process.pid(), None);
    assert!(
        process
            .used()
            .is_some_and(|used| used.voluntary_switches > 0)
    );
    assert_eq!(
        lines.lock().expect("lines").last().map(String::as_str),
        Some("bye")
    );
    assert_eq!(
        std::fs::read_to_string(dir.path().join("sh.log")).expect("log"),
        "to the log\n"
    );
    let events = events.lock().expect("events");
    let expected = [
        EventKind::Started { pid },
        EventKind::Ready,
        EventKind::Signalled { signal: "SIGTERM" },
        EventKind::Exited(Exit::Code(0)),
    ];
    assert_eq!(*events, expected);
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_after_the_grace() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script = r#"trap '' TERM; echo '{"event":"ready"}'; while :; do sleep 0.01; done"#;
    let process = quiet().start(shell(dir.path(), script)).expect("started");
    within("ready", process.ready(Duration::from_secs(10)))
        .await
        .expect("ready");
    let exit = within("the end", process.terminate(Duration::from_millis(50))).await;
    assert_eq!(exit, Exit::Signal(Signal::SIGKILL as i32));
}

#[tokio::test]
async fn one_that_fails_shows_the_end_of_its_log() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let process = quiet()
        .start(shell(dir.path(), "echo 'port 8080 is taken' >&2; exit 1"))
        .expect("started");
    let error = within("the answer", process.ready(Duration::from_secs(10)))
        .await
        .expect_err("it failed");
    assert!(
        matches!(
            error,
            NotReady::Ended {
                exit: Exit::Code(1),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("port 8080 is taken"), "{error}");

    let silent = quiet()
        .start(shell(dir.path(), "exec sleep 1000"))
        .expect("started");
    let error = silent
        .ready(Duration::from_millis(20))
        .await
        .expect_err("it says nothing");
    assert!(matches!(error, NotReady::Late { .. }), "{error}");

    let missing = Spec::new(
        "client",
        dir.path().join("xr-none"),
        dir.path().join("x.log"),
    );
    let error = quiet().start(missing).expect_err("no such program");
    assert!(matches!(error, StartError::Spawn { .. }), "{error}");
    assert!(error.to_string().contains("xr-none"), "{error}");
}

#[tokio::test]
async fn a_restart_uses_the_address_that_was_drawn() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let script =
        r#"echo "{\"event\":\"ready\",\"ops\":\"127.0.0.1:4${1#127.0.0.1:}\"}"; exec sleep 1000"#;
    let mut spec = shell(dir.path(), script);
    spec.args
        .extend(["--ops", "127.0.0.1:0"].map(ToOwned::to_owned));
    let first = quiet().start(spec).expect("started");
    assert_eq!(
        first
            .ready(Duration::from_secs(10))
            .await
            .expect("ready")
            .text("ops"),
        Some("127.0.0.1:40")
    );
    let old = first.pid().expect("alive");
    let second = within("restart", first.restart())
        .await
        .expect("started again");
    assert!(!is_alive(old), "the first one has ended");
    assert_eq!(
        second
            .ready(Duration::from_secs(10))
            .await
            .expect("ready")
            .text("ops"),
        Some("127.0.0.1:440")
    );
}

#[tokio::test]
async fn dropping_a_process_ends_it_with_everything_it_started() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let script = r#"sleep 1000 & echo "$!"; echo '{"event":"ready"}'; wait"#;
    let spec = Spec {
        on_line: Some(Arc::new(move |line| {
            heard.lock().expect("lines").push(line.to_owned());
        })),
        ..shell(dir.path(), script)
    };
    let process = quiet().start(spec).expect("started");
    within("ready", process.ready(Duration::from_secs(10)))
        .await
        .expect("ready");
    let grandchild: u32 = lines.lock().expect("lines")[0].parse().expect("a number");
    let pid = process.pid().expect("alive");
    assert!(is_alive(pid) && is_alive(grandchild));
    drop(process);
    gone(pid).await;
    gone(grandchild).await;
}

#[tokio::test]
async fn nothing_outlives_a_killed_runner() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut runner = Command::new(HELPER)
        .arg("runner")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(runner.stdout.take().expect("a pipe")).lines();
    let child: u32 = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("child ")?.parse().ok())
        .expect("the helper names its child");
    assert!(is_alive(child), "it runs");
    kill(Pid::from_raw(runner.id().cast_signed()), Signal::SIGKILL).expect("killed");
    runner.wait().expect("reaped");
    gone(child).await;
}
