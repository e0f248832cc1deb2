//! A TUN device in another network namespace.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use nix::libc;
use nix::sched::{CloneFlags, setns};

use crate::resources::net;

/// Packets that the kernel holds for us until we read: 0.4 s of 10 000 packets a second.
const KERNEL_QUEUE_PACKETS: u32 = 4_096;

/// One end of the link: what its namespace sends is read here, what it shall receive is written here. Reads and writes
/// never wait. The device goes away with it.
#[derive(Debug)]
pub(crate) struct Tun {
    device: File,
    /// `/proc/net/dev` of its namespace: it shows that namespace to whoever reads it.
    counters: File,
    interface: String,
}

impl Tun {
    /// Makes the device `interface` in the namespace at `netns`. It is down and has no address: that is for others to do.
    pub(crate) fn make(netns: &Path, interface: &str, mtu: u16) -> io::Result<Self> {
        // A thread of its own enters the namespace, so that none has to find its way back.
        thread::scope(|scope| {
            let made = thread::Builder::new()
                .name("tun".into())
                .spawn_scoped(scope, || make_here(netns, interface, mtu))?;
            made.join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread that makes it failed")))
        })
    }

    /// Takes one packet that the namespace sent; none where nothing waits.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match (&self.device).read(buffer) {
                Ok(length) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the namespace receive a packet. An error means that it did not: the device is down, or memory is short.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<()> {
        nix::unistd::write(&self.device, packet)?;
        Ok(())
    }

    /// Packets that the namespace sent and the kernel dropped, because its queue for us was full, since the beginning.
    pub(crate) fn kernel_dropped(&self) -> io::Result<u64> {
        let mut text = [0; 16 << 10];
        let length = self.counters.read_at(&mut text, 0)?;
        let text = String::from_utf8_lossy(&text[..length]);
        let (_, sent) = net::interface(&text, &self.interface).ok_or_else(|| {
            io::Error::other(format!("/proc/net/dev has no {}:\n{text}", self.interface))
        })?;
        Ok(sent.dropped)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

fn make_here(netns: &Path, interface: &str, mtu: u16) -> io::Result<Tun> {
    let explain = |what: String, remedy: &'static str| {
        move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}{remedy}"))
    };
    let entering = || format!("cannot enter the network namespace {}", netns.display());
    let file = File::open(netns).map_err(explain(entering(), ""))?;
    setns(file, CloneFlags::CLONE_NEWNET)
        .map_err(io::Error::from)
        .map_err(explain(
            entering(),
            "; it takes root, or the user namespace that it belongs to",
        ))?;
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(explain(
            "cannot open /dev/net/tun".into(),
            "; an administrator opens it to all by: modprobe tun; chmod 666 /dev/net/tun",
        ))?;
    attach(&device, interface).map_err(explain(
        format!(
            "cannot make the interface {interface} in {}",
            netns.display()
        ),
        "; is there one of that name already?",
    ))?;
    configure(interface, mtu)?;
    let counters = File::open("/proc/thread-self/net/dev")
        .map_err(explain("cannot read /proc/net/dev".into(), ""))?;
    Ok(Tun {
        device,
        counters,
        interface: interface.to_owned(),
    })
}

/// Makes of an open `/dev/net/tun` a device that carries bare IP packets, with neither checksums nor segments left to do.
fn attach(device: &File, interface: &str) -> io::Result<()> {
    let flags = libc::IFF_TUN | libc::IFF_NO_PI;
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_flags: i16::try_from(flags).expect("the flags of a TUN fit 16 bits"),
        },
    };
    // The last byte stays 0. `LinkArgs::parse` takes no longer name.
    let room = &mut request.ifr_name[..libc::IFNAMSIZ - 1];
    for (to, from) in room.iter_mut().zip(interface.bytes()) {
        *to = from.cast_signed();
    }
    #[expect(unsafe_code, reason = "no safe wrapper in what we use")]
    // SAFETY: TUNSETIFF reads and writes one ifreq, which is there until the call returns.
    let answer = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    nix::errno::Errno::result(answer)?;
    Ok(())
}

/// Sets what can be set before it is up. By iproute2, because the kernel lets root of a user namespace set a queue's length
/// through netlink only, and the lab needs iproute2 anyway.
fn configure(interface: &str, mtu: u16) -> io::Result<()> {
    let output = Command::new("ip")
        .args(["link", "set", "dev", interface])
        .args(["mtu", &mtu.to_string()])
        .args(["txqueuelen", &KERNEL_QUEUE_PACKETS.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            let text = format!("cannot run ip: {error}; install iproute2");
            io::Error::new(error.kind(), text)
        })?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{interface}: cannot set an MTU of {mtu} and a queue of {KERNEL_QUEUE_PACKETS} packets: {}",
        why.trim()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_is_none_is_named() {
        let error = Tun::make(Path::new("/nowhere/net"), "wan0", 1500).expect_err("no namespace");
        assert!(error.to_string().contains("/nowhere/net"), "{error}");
        let error = Tun::make(Path::new("/dev/null"), "wan0", 1500).expect_err("no namespace");
        assert!(error.to_string().contains("/dev/null"), "{error}");
    }
}
