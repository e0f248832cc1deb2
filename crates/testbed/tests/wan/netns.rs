//! Network namespaces that exist as long as they are held, and a link between two of them.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// The addresses of the two ends.
pub(crate) const ADDRESSES: [[u8; 4]; 2] = [[192, 168, 100, 1], [192, 168, 100, 2]];

/// A network namespace of a test.
#[derive(Debug)]
pub(crate) struct Netns(File);

impl Netns {
    /// A new one, without IPv6: its own chatter would be counted.
    pub(crate) fn new() -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace");
            fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").expect("no IPv6");
            File::open("/proc/thread-self/ns/net").expect("the namespace of this thread")
        });
        Self(made.join().expect("a namespace"))
    }

    /// Where another process of this machine finds it.
    pub(crate) fn path(&self) -> PathBuf {
        let (pid, fd) = (std::process::id(), self.0.as_raw_fd());
        format!("/proc/{pid}/fd/{fd}").into()
    }

    /// Does something in it: sockets that are made there stay there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("the namespace is ours");
                work()
            });
            inside.join().expect("the work inside")
        })
    }

    /// Runs a command in it, and returns whether it went well and what it said of that.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> (bool, String) {
        let output = self.enter(|| Command::new(program).args(args).output());
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), text)
    }

    /// Runs a command in it that must go well.
    pub(crate) fn run(&self, program: &str, args: &[&str]) {
        let (well, text) = self.output(program, args);
        assert!(well, "{program} {args:?}: {text}");
    }
}

/// Gives the link's two ends their addresses and brings them up.
pub(crate) fn bring_up(namespaces: &[Netns; 2], interface: &str) {
    for (namespace, address) in namespaces.iter().zip(ADDRESSES) {
        let address = format!("{}/30", std::net::Ipv4Addr::from(address));
        namespace.run("ip", &["addr", "add", &address, "dev", interface]);
        namespace.run("ip", &["link", "set", interface, "up"]);
    }
}
