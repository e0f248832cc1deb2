//! Programs started on loopback, with their files in a folder that goes away with the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use testbed::{Event, Exit, Placement, Process, Ready, Spec, Testbed};

use crate::{Ops, until};

/// A start that takes longer than this has failed; a busy machine starts a service in about a second.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// The client's metric of frames shown.
const SHOWN: &str = "xr_client_frames_total{outcome=\"shown\"}";

/// The drain that services promise, and what a busy machine adds to it.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// The program `name`, as cargo built it beside this test or benchmark.
///
/// # Panics
/// If it is not there.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let mut folder = test.parent().expect("a file lies in a folder");
    if folder.ends_with("deps") {
        folder = folder
            .parent()
            .expect("cargo puts tests into target/PROFILE/deps");
    }
    let program = folder.join(name);
    assert!(
        program.exists(),
        "{} is not there: run `cargo build --workspace --bins` first",
        program.display()
    );
    program
}

/// The real video that tests play.
///
/// # Panics
/// If it is not there.
pub fn video() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e lies in the workspace");
    let video = root.join("media/bigbuckbunny.mp4");
    assert!(
        video.exists(),
        "{} is not there: run `make media` first",
        video.display()
    );
    video
}

/// Lines of each log that a failed test shows.
const LAST_LINES: usize = 40;

/// Held by every sandbox that exists: whole pipelines beside one another would measure each other on a small machine.
static MACHINE: RwLock<()> = RwLock::new(());

/// What a sandbox has of the machine, until it is gone.
#[derive(Debug)]
#[expect(dead_code, reason = "held, not read")]
enum Held {
    Alone(RwLockWriteGuard<'static, ()>),
    Shared(RwLockReadGuard<'static, ()>),
}

/// Where a test's processes live. Others in the same program wait until it is gone, unless all of them share the machine. What is still
/// running when it is dropped is killed.
#[derive(Debug)]
pub struct Sandbox {
    testbed: Testbed,
    folder: TempDir,
    /// What happened to its processes.
    events: Arc<Mutex<Vec<Event>>>,
    // The last field, so that it is given up when everything else is gone.
    _held: Held,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Sandbox {
    /// A test that failed shows what became of its processes, and what they said last.
    #[expect(
        clippy::print_stderr,
        reason = "it is for whoever reads why the test failed"
    )]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for event in self.events.lock().iter() {
            eprintln!("{event:?}");
        }
        let Ok(files) = std::fs::read_dir(self.folder.path()) else {
            return;
        };
        let mut logs: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.sort();
        for log in logs {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let first = text.lines().count().saturating_sub(LAST_LINES);
            eprintln!("--- the last lines of {}", log.display());
            text.lines()
                .skip(first)
                .for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Sandbox {
    /// An empty sandbox.
    ///
    /// # Panics
    /// If there is no place for temporary files.
    pub fn new() -> Self {
        Self::holding(|| Held::Alone(MACHINE.write()))
    }

    /// An empty sandbox beside others that share the machine, one for each thread of the tests: for what judges no times.
    ///
    /// # Panics
    /// If there is no place for temporary files.
    pub fn shared() -> Self {
        Self::holding(|| Held::Shared(MACHINE.read()))
    }

    fn holding(hold: impl FnOnce() -> Held) -> Self {
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let note = Arc::clone(&events);
        let testbed = Testbed::new(Placement::Host, service::clock::now, move |event| {
            note.lock().push(event);
        });
        let held = hold();
        Self {
            testbed,
            folder: TempDir::new().expect("a temporary folder"),
            events,
            _held: held,
        }
    }

    /// A file or folder of this test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts any program and does not wait for it to say anything.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(&self, role: &str, program: impl Into<PathBuf>, args: &[&str]) -> Process {
        self.spawn_in(role, program, args, &[])
    }

    /// Starts any program with variables added to its environment.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn_in(
        &self,
        role: &str,
        program: impl Into<PathBuf>,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Process {
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let spec = Spec {
            env: env.collect(),
            ..self.spec(role, program.into(), args)
        };
        self.testbed.start(spec).expect("the program starts")
    }

    /// Starts a streamer on ports that it draws itself; a flag in `extra` wins.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn streamer(&self, extra: &[&str]) -> Service {
        let ports = [
            ("--http", "127.0.0.1:0"),
            ("--rtsp", "127.0.0.1:0"),
            ("--ops", "127.0.0.1:0"),
        ];
        self.start("streamer", "xr-streamer", &with_defaults(extra, &ports))
            .await
    }

    /// Starts a renderer of a small moving pattern that feeds `feed`; a flag in `extra` wins.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn renderer(&self, feed: &str, extra: &[&str]) -> Service {
        let pattern = [
            ("--feed", feed),
            ("--ops", "127.0.0.1:0"),
            ("--source", "test"),
            ("--size", "640x360"),
            ("--fps", "30"),
            ("--bitrate", "2M"),
        ];
        self.start("renderer", "xr-renderer", &with_defaults(extra, &pattern))
            .await
    }

    /// Starts a client that plays `url`; a flag in `extra` wins.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn client(&self, url: &str, extra: &[&str]) -> Service {
        let args = with_defaults(extra, &[("--url", url), ("--ops", "127.0.0.1:0")]);
        self.start("client", "xr-client", &args).await
    }

    /// Starts a program of ours and waits until it says that it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start(&self, role: &str, program: &str, args: &[&str]) -> Service {
        let said = Arc::<Mutex<Vec<String>>>::default();
        let hear = Arc::clone(&said);
        let spec = Spec {
            on_line: Some(Arc::new(move |line| hear.lock().push(line.to_owned()))),
            ..self.spec(role, binary(program), args)
        };
        let process = self.testbed.start(spec).expect("the program starts");
        let ready = process
            .ready(START_PATIENCE)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Service {
            process,
            ready,
            said,
        }
    }

    fn spec(&self, role: &str, program: PathBuf, args: &[&str]) -> Spec {
        let free = (0..10_000)
            .map(|n| self.path(&format!("{role}-{n}.log")))
            .find(|path| !path.exists());
        Spec {
            args: args.iter().map(ToString::to_string).collect(),
            ..Spec::new(role, program, free.expect("some number is free"))
        }
    }
}

/// The arguments that a caller chose, before those that it left open.
fn with_defaults<'a>(chosen: &[&'a str], defaults: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let open = defaults.iter().filter(|(flag, _)| !chosen.contains(flag));
    let open = open.flat_map(|(flag, value)| [*flag, *value]);
    open.chain(chosen.iter().copied()).collect()
}

/// Sockets of the addresses that were given out, which hold them until the tests end: of what only asks for any port, nobody gets one
/// that a socket is bound to, and who is told of it may listen there all the same, because both let it be used again.
static HELD: Mutex<Vec<Socket>> = Mutex::new(Vec::new());

/// An address of this host for a program that starts later, and may be started again: nobody else draws its port. Until then
/// connections to it are refused.
///
/// # Panics
/// If the system has none.
pub fn free_address() -> SocketAddr {
    let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    held.set_reuse_address(true).expect("an option");
    held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .expect("loopback has a free port");
    let address = held.local_addr().expect("a bound socket has an address");
    HELD.lock().push(held);
    address.as_socket().expect("an address of IPv4")
}

/// A program of ours that runs.
#[derive(Debug)]
pub struct Service {
    process: Process,
    ready: Ready,
    said: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// One of the addresses that it said it listens on: `http`, `rtsp`, `ops`.
    ///
    /// # Panics
    /// If it said none of that name.
    pub fn addr(&self, key: &str) -> SocketAddr {
        self.ready
            .addr(key)
            .unwrap_or_else(|| panic!("no address {key} in {:?}", self.ready))
    }

    /// Where to push the feed `name`, of a streamer.
    pub fn feed_url(&self, name: &str) -> String {
        format!("http://{}/feeds/{name}", self.addr("http"))
    }

    /// Where to play the feed `name`, of a streamer.
    pub fn rtsp_url(&self, name: &str) -> String {
        format!("rtsp://{}/{name}", self.addr("rtsp"))
    }

    /// The ops port of the service.
    pub fn ops(&self) -> Ops {
        Ops::new(self.addr("ops"))
    }

    /// The lines that it printed on standard output so far, the ready line included, restarts too.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().clone()
    }

    /// Frames that this client has shown, or nothing while it does not answer.
    pub async fn shown(&self) -> Option<u64> {
        let shown = self.ops().metric(SHOWN).await?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        Some(shown as u64)
    }

    /// Waits until this client has shown `more` frames more than it has now.
    ///
    /// # Panics
    /// If it does not within `patience`.
    pub async fn shows(&self, more: u64, patience: Duration) {
        let start = self.shown().await.unwrap_or(0);
        let what = format!(
            "{more} more frames than {start} of\n{}",
            self.process.log_tail()
        );
        until(&what, patience, async || {
            (self.shown().await? >= start + more).then_some(())
        })
        .await;
    }

    /// SIGKILL, then a start on the same addresses. Returns when the new process is ready.
    ///
    /// # Panics
    /// If it does not become ready again.
    pub async fn kill_and_restart(self) -> Self {
        let process = self
            .process
            .restart()
            .await
            .expect("the program starts again");
        let ready = process
            .ready(START_PATIENCE)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        Self {
            process,
            ready,
            said: self.said,
        }
    }

    /// SIGTERM, how it ended, and after how long.
    pub async fn terminate(self) -> Ended {
        let start = Instant::now();
        let exit = self.process.terminate(DRAIN_PATIENCE).await;
        let said = self.said.lock().clone();
        Ended {
            exit,
            took: start.elapsed(),
            said,
            log: self.process.log_tail(),
        }
    }
}

/// How a program of ours ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The code or signal.
    pub exit: Exit,
    /// From the signal to the end.
    pub took: Duration,
    /// The lines of its standard output.
    pub said: Vec<String>,
    /// The last lines of its log.
    pub log: String,
}
