//! The threads of one process: one starts it and waits for its end, two read what it writes.

use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::Child;
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid, getppid};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::Ready;
use crate::cgroup::Group;
use crate::event::{EventKind, Exit};
use crate::log::Log;
use crate::netns::Netns;
use crate::pretend;
use crate::resources::{self, Sample};
use crate::spec::{Placement, Spec};

/// A line of standard output beyond this is cut: nothing here reads longer ones.
const LINE_LIMIT_BYTES: u64 = 64 << 10;

/// What the threads of a process and its handle share.
pub(crate) struct Shared {
    pub(crate) spec: Spec,
    /// Present from the start until the process is about to be reaped, so that a signal never reaches a later process
    /// of the same number.
    pub(crate) pid: Mutex<Option<Pid>>,
    pub(crate) exit: watch::Sender<Option<Exit>>,
    pub(crate) ready: watch::Sender<Option<Ready>>,
    pub(crate) log: Mutex<Log>,
    /// What it had used in all, taken between its end and its reaping.
    pub(crate) used: Mutex<Option<Sample>>,
    pub(crate) emit: Box<dyn Fn(EventKind) + Send + Sync>,
}

impl Shared {
    /// Sends a signal if the process has not ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = *self.pid.lock() {
            // It may be dead already, which is what a signal is for.
            let _ = kill(pid, signal);
        }
    }
}

/// Starts the process on a thread that stays until it ends: the kernel ties the child's life to that very thread.
pub(crate) fn start(shared: &Arc<Shared>, placement: &Placement) -> io::Result<()> {
    let (started, report) = std::sync::mpsc::sync_channel(1);
    let shared = Arc::clone(shared);
    let placement = placement.clone();
    let name = format!("run {}", shared.spec.role);
    thread::Builder::new()
        .name(name)
        .spawn(move || match spawn(&shared, &placement) {
            Err(error) => drop(started.send(Err(error))),
            Ok(child) => {
                drop(started.send(Ok(())));
                wait(&shared, child);
            }
        })?;
    report
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the thread that starts it failed")))
}

fn spawn(shared: &Arc<Shared>, placement: &Placement) -> io::Result<Child> {
    let mut command = shared.spec.command();
    let inherit: Vec<&Netns> = shared.spec.inherit.iter().collect();
    if shared.spec.pretend {
        pretend::apply(&mut command);
    }
    let mut enter = Netns::hook(placement.netns(), &inherit);
    let parent = getpid();
    let door = shared.spec.group.as_ref().map(Group::door);
    let hook = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above: then nobody would ever end this process.
        if getppid() != parent {
            return Err(io::Error::other("the runner is gone"));
        }
        enter()?;
        if let Some(door) = &door {
            door.enter();
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "the one way to run code between fork and exec")]
    // SAFETY: the hook makes a few system calls and allocates nothing unless it fails, where the child ends at once.
    unsafe {
        command.pre_exec(hook);
    }
    let child = command.spawn()?;
    *shared.pid.lock() = Some(pid_of(&child));
    Ok(child)
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

fn wait(shared: &Arc<Shared>, mut child: Child) {
    let pid = pid_of(&child);
    (shared.emit)(EventKind::Started { pid: child.id() });
    let readers = [
        child
            .stdout
            .take()
            .map(|out| reader(shared, "stdout", out, read_lines)),
        child
            .stderr
            .take()
            .map(|err| reader(shared, "stderr", err, read_log)),
    ];
    // Left as a zombie until the signals are locked out and its group is swept: neither number can be taken meanwhile.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        == Err(nix::errno::Errno::EINTR)
    {}
    let _ = killpg(pid, Signal::SIGKILL);
    *shared.used.lock() = resources::sample(child.id()).ok();
    *shared.pid.lock() = None;
    let exit = child.wait().map_or(Exit::Unknown, Exit::from);
    for reader in readers.into_iter().flatten().flatten() {
        // A reader that panicked has nothing more to say.
        let _ = reader.join();
    }
    shared.log.lock().close();
    (shared.emit)(EventKind::Exited(exit));
    shared.exit.send_replace(Some(exit));
}

fn reader<R: Read + Send + 'static>(
    shared: &Arc<Shared>,
    what: &str,
    from: R,
    read: fn(&Shared, R),
) -> io::Result<thread::JoinHandle<()>> {
    let name = format!("{what} {}", shared.spec.role);
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name(name)
        .spawn(move || read(&shared, from))
}

fn read_log<R: Read>(shared: &Shared, mut from: R) {
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let mut log = shared.log.lock();
        log.write(&buffer[..n]);
        let said = shared.ready.borrow().is_none()
            && shared
                .spec
                .ready_when
                .as_ref()
                .is_some_and(|text| log.holds(text));
        drop(log);
        if said {
            (shared.emit)(EventKind::Ready);
            shared.ready.send_replace(Some(Ready::by_its_log()));
        }
    }
}

fn read_lines<R: Read>(shared: &Shared, from: R) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = from
        .by_ref()
        .take(LINE_LIMIT_BYTES)
        .read_until(b'\n', &mut line)
    {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if shared.ready.borrow().is_none()
            && let Some(ready) = Ready::parse(text)
        {
            (shared.emit)(EventKind::Ready);
            shared.ready.send_replace(Some(ready));
        }
        if shared.spec.log_stdout {
            let mut log = shared.log.lock();
            log.write(text.as_bytes());
            log.write(b"\n");
        }
        if let Some(take) = &shared.spec.on_line {
            take(text);
        }
        line.clear();
    }
}
