//! A network namespace, held by a file descriptor: it has no name on the host and ends with the last process and
//! descriptor in it.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace, held open by a file descriptor. Clones are the same one.
#[derive(Clone)]
pub struct Netns(Arc<Held>);

struct Held {
    name: String,
    file: OwnedFd,
}

impl Netns {
    /// Makes one in which there is nothing but `lo`, down. The name is for messages.
    pub fn new(name: impl Into<String>) -> io::Result<Self> {
        let name = name.into();
        // A thread alone moves: the namespace is the descriptor's by the time that it ends.
        let file = on_a_thread(&name, || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            no_ipv6();
            File::open("/proc/thread-self/ns/net")
        })?;
        Ok(Self(Arc::new(Held {
            name,
            file: file.into(),
        })))
    }

    /// The network namespace of the caller.
    pub fn current(name: impl Into<String>) -> io::Result<Self> {
        Ok(Self(Arc::new(Held {
            name: name.into(),
            file: File::open("/proc/thread-self/ns/net")?.into(),
        })))
    }

    /// The name within the lab.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The number by which `/proc/PID/ns/net` tells it from others.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(nix::sys::stat::fstat(&self.0.file)?.st_ino)
    }

    /// The path by which a process that inherits the descriptor sees the namespace; see [`crate::Spec::inherit`].
    pub fn inherited_path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.0.file.as_raw_fd().to_string())
    }

    /// The path by which any process with the right to look sees the namespace, as long as this process holds it.
    pub fn path_for_others(&self) -> PathBuf {
        Path::new("/proc")
            .join(std::process::id().to_string())
            .join("fd")
            .join(self.0.file.as_raw_fd().to_string())
    }

    /// Runs `act` in it, on a thread that ends with it. Sockets that it opens stay in the namespace.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(&self.0.name, || {
            setns(self.0.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
            act()
        })
    }

    /// A command that runs in it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let hook = Self::hook(Some(self), &[]);
        #[expect(unsafe_code, reason = "the one way to run code between fork and exec")]
        // SAFETY: the hook makes system calls only, and allocates nothing.
        unsafe {
            command.pre_exec(hook);
        }
        command
    }

    /// What a child does between fork and exec to be in `netns`, with the descriptors of `inherit` left open. It makes
    /// system calls only, and holds the namespaces open.
    pub(crate) fn hook(
        netns: Option<&Self>,
        inherit: &[&Self],
    ) -> impl FnMut() -> io::Result<()> + Send + Sync + 'static {
        let netns = netns.cloned();
        let inherit: Vec<Self> = inherit.iter().copied().cloned().collect();
        move || {
            for one in &inherit {
                keep_open(one.0.file.as_fd())?;
            }
            if let Some(netns) = &netns {
                setns(netns.0.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
            }
            Ok(())
        }
    }
}

/// Switches IPv6 off in the calling thread's namespace. Routers are asked for and groups are joined as soon as an interface is up: packets that no fabric sends.
pub(crate) fn no_ipv6() {
    for which in ["all", "default"] {
        // A kernel without IPv6 has no such file.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
    }
}

/// Lets a descriptor pass through exec.
fn keep_open(fd: BorrowedFd<'_>) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(())
}

fn on_a_thread<T: Send>(name: &str, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name(format!("in {name}"))
            .spawn_scoped(scope, act)?
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Netns {}

impl fmt::Debug for Netns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Netns").field(&self.0.name).finish()
    }
}
