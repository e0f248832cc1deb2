//! The tests: this program is started again, watched from outside, and ended in all ways.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;
use testbed::cgroup;

use crate::ACT;
use crate::acts::ACTS;
use crate::traces::{Host, control_groups, inside as processes_inside, processes};

/// An ordinary user with no files and no rights.
const NOBODY: u32 = 65534;

#[derive(Clone, Copy, Debug)]
enum User {
    /// Whoever runs the tests.
    Caller,
    Nobody,
}

/// Runs every test.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::from_args();
    let (dir, program) = public_copy();
    let conclusion = libtest_mimic::run(&arguments, trials(&program));
    drop(dir);
    conclusion.exit_code()
}

fn trials(program: &Path) -> Vec<Trial> {
    let mut users = vec![User::Caller];
    if geteuid().is_root() {
        // Else the caller is an ordinary user already.
        users.push(User::Nobody);
    }
    let mut trials = Vec::new();
    for user in users {
        let stage = || Stage {
            program: program.to_owned(),
            user,
        };
        let mut add = |name: &str, run: fn(&Stage)| {
            let name = format!("{user:?}::{name}").to_lowercase();
            let stage = stage();
            trials.push(Trial::test(name, move || {
                run(&stage);
                Ok::<_, Failed>(())
            }));
        };
        add("the_host_is_untouched_by_two_labs_at_once", two_labs);
        add("nothing_is_left_after_sigkill", sigkill);
        add("a_signal_reaches_the_runner_once", one_signal);
        add("the_exit_code_is_the_runners", exit_codes);
        for act in ACTS {
            let name = format!("{user:?}::inside_{act}").to_lowercase();
            let stage = stage();
            trials.push(Trial::test(name, move || {
                inside(&stage, act);
                Ok(())
            }));
        }
    }
    trials
}

/// This program, started again to play an act.
struct Stage {
    program: PathBuf,
    user: User,
}

/// A copy of this program that everybody may run, made before there are threads: a fork of another thread that holds it
/// open for writing would keep it from being run.
fn public_copy() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let (this, copy) = (std::env::current_exe(), dir.path().join("lab"));
    fs::copy(this.expect("this program"), &copy).expect("copied");
    (dir, copy)
}

impl Stage {
    fn command(&self, act: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env(ACT, act)
            .env_remove("TMPDIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let User::Nobody = self.user {
            command.uid(NOBODY).gid(NOBODY).current_dir("/");
        }
        command
    }
}

/// A lab that is up.
struct Running {
    guard: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Running {
    fn start(stage: &Stage, act: &str, until: &str) -> Self {
        let mut guard = stage.command(act).spawn().expect("started");
        let out = guard.stdout.take().expect("piped");
        let mut lines = BufReader::new(out).lines();
        let mut said = Vec::new();
        loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("it ended before {until:?}: {said:?}"))
                .expect("a line");
            if line == until {
                break;
            }
            said.push(line);
        }
        Self { guard, lines, said }
    }

    fn word(&self, key: &str) -> &str {
        self.said
            .iter()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .unwrap_or_else(|| panic!("it did not say {key:?}: {:?}", self.said))
    }

    fn namespaces(&self) -> BTreeSet<u64> {
        let inodes = self.word("namespaces").split(' ');
        inodes
            .map(|inode| inode.parse().expect("a number"))
            .collect()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.guard.id().cast_signed())
    }

    /// Ends its standard input, and waits for it to end.
    fn end(mut self) {
        drop(self.guard.stdin.take());
        let status = self.guard.wait().expect("waited");
        assert!(status.success(), "{status}");
    }
}

fn inside(stage: &Stage, act: &str) {
    let output = stage
        .command(act)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(Child::wait_with_output)
        .expect("run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{error}", output.status);
}

fn two_labs(stage: &Stage) {
    let before = Host::now();
    let labs = [(); 2].map(|()| Running::start(stage, "stay", "up"));
    let root = geteuid().is_root() && matches!(stage.user, User::Caller);
    for lab in &labs {
        assert_eq!(lab.word("user"), (!root).to_string());
        assert_eq!(lab.word("pids"), "true");
        assert!(!processes_inside(&processes(), &lab.namespaces()).is_empty());
    }
    // The kernel gives a namespace's number to another one soon: whoever comes later is not meant.
    let alive = processes();
    let [one, other] = labs.each_ref().map(Running::namespaces);
    assert!(one.is_disjoint(&other), "{one:?} {other:?}");
    assert_eq!(Host::now(), before, "while they are up");
    labs.into_iter().for_each(Running::end);
    assert_eq!(Host::now(), before, "afterwards");
    assert_eq!(processes_inside(&alive, &one), [0_u32; 0]);
    assert_eq!(processes_inside(&alive, &other), [0_u32; 0]);
}

fn sigkill(stage: &Stage) {
    let mut lab = Running::start(stage, "stay", "up");
    let namespaces = lab.namespaces();
    let guard: u32 = lab.word("guard").parse().expect("a number");
    assert_eq!(guard, lab.guard.id());
    let alive = processes();
    let inside = processes_inside(&alive, &namespaces);
    assert!(inside.len() >= 3, "init, runner and a daemon: {inside:?}");
    let made = match stage.user {
        User::Caller => put_into_control_groups(guard, inside[0]),
        User::Nobody => 0,
    };
    kill(lab.pid(), Signal::SIGKILL).expect("killed");
    let until = Instant::now() + Duration::from_secs(20);
    lab.guard.wait().expect("reaped");
    loop {
        let left = (processes_inside(&alive, &namespaces), control_groups(guard));
        if left == (vec![], vec![]) {
            break;
        }
        assert!(Instant::now() < until, "{left:?} of {inside:?} and {made}");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Nobody holds the pipe either.
    let mut rest = String::new();
    for line in lab.lines.by_ref() {
        rest += &line.expect("a line");
    }
    assert_eq!(rest, "");
}

/// Makes nested control groups as a lab makes them, where this user may; returns how many.
fn put_into_control_groups(guard: u32, member: u32) -> usize {
    let mut made = 0;
    for outer in cgroup::folders(&cgroup::name(guard)) {
        if fs::create_dir_all(outer.join("pod")).is_ok() {
            // A controller that wants more set up first takes nobody; its directory is there all the same.
            let _ = fs::write(outer.join("pod/cgroup.procs"), member.to_string());
            made += 1;
        }
    }
    assert_eq!(control_groups(guard).len(), made);
    made
}

fn one_signal(stage: &Stage) {
    let mut lab = Running::start(stage, "signals", "ready");
    let mut next = || lab.lines.next().expect("it runs").expect("a line");
    let pid = Pid::from_raw(lab.guard.id().cast_signed());
    for (signal, word) in [
        (Signal::SIGINT, "INT"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGQUIT, "QUIT"),
        (Signal::SIGINT, "INT"),
        (Signal::SIGTERM, "TERM"),
    ] {
        kill(pid, signal).expect("sent");
        assert_eq!(next(), word);
    }
    let mut rest = String::new();
    for line in lab.lines.by_ref() {
        rest += &line.expect("a line");
    }
    assert_eq!(rest, "", "each came once");
    assert!(lab.guard.wait().expect("waited").success());
}

fn exit_codes(stage: &Stage) {
    let run = |act| {
        let mut guard = stage
            .command(act)
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut out = Vec::new();
        guard
            .stdout
            .take()
            .expect("piped")
            .read_to_end(&mut out)
            .expect("read");
        guard.wait().expect("waited")
    };
    assert_eq!(run("code").code(), Some(7));
    assert_eq!(run("die").code(), Some(128 + 9));
    assert_eq!(run("no such act").code(), Some(101), "a panic");
    // Before the runner has handlers of its own, a signal ends it as it ends any program.
    let lab = stage.command("stay").spawn().expect("started");
    let pid = Pid::from_raw(lab.id().cast_signed());
    kill(pid, Signal::SIGTERM).expect("sent");
    let status = lab.wait_with_output().expect("waited").status;
    let early = status.signal() == Some(15);
    assert!(early || status.code() == Some(128 + 15), "{status}");
}
