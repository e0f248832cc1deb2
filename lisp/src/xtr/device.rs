//! The TUN device: made, given its addresses and routes, and waited for.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

/// Packets that the device holds for us while we are elsewhere; the system's own 500 are too few for a burst.
const QUEUE_PACKETS: u32 = 2000;

/// A device, and what it can.
pub(crate) struct Device {
    /// The device's queues: one for each pair of threads.
    pub queues: Vec<Arc<SyncDevice>>,
    /// Whether packets come and go as parts of larger ones.
    pub merges: bool,
}

/// The settings by which the device is made.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The name of the device.
    pub name: &'a str,
    /// The number of queues.
    pub queues: usize,
    /// Whether packets may come and go as parts of larger ones.
    pub merges: bool,
    /// The length of the longest packet, in bytes.
    pub mtu: usize,
    /// Addresses of the device.
    pub addresses: &'a [IpNet],
    /// Prefixes that are routed into the device.
    pub routes: &'a [IpNet],
}

impl Device {
    /// Makes the device. It goes away with the process.
    pub(crate) fn open(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let build = |merges| {
            DeviceBuilder::new()
                .name(wanted.name)
                .inherit_enable_state()
                .offload(merges)
                .multi_queue(wanted.queues > 1)
                .build_sync()
        };
        let (first, merges) = match (wanted.merges, build(wanted.merges)) {
            (true, Err(error)) if error.raw_os_error() == Some(nix::libc::EINVAL) => {
                (build(false), false)
            }
            (merges, made) => (made, merges),
        };
        let first = first.with_context(|| {
            format!(
                "cannot make the TUN device {:?}: that takes CAP_NET_ADMIN, /dev/net/tun, and a name that no device has",
                wanted.name
            )
        })?;
        let mut queues = vec![first];
        while queues.len() < wanted.queues {
            let next = queues[0].try_clone();
            queues.push(next.context("cannot open another queue of the TUN device")?);
        }
        for queue in &queues {
            queue.set_nonblocking(true)?;
        }
        configure(wanted)?;
        Ok(Self {
            queues: queues.into_iter().map(Arc::new).collect(),
            merges,
        })
    }
}

/// Gives the device its addresses and routes by iproute2, as text that can be typed by hand.
fn configure(wanted: &Wanted<'_>) -> anyhow::Result<()> {
    let batch = batch(wanted);
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start ip, of the package iproute2")?;
    let mut input = ip.stdin.take().context("ip has an input")?;
    input.write_all(batch.as_bytes())?;
    drop(input);
    let output = ip.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ip refused a line of\n{batch}  because: {}", said.trim());
    }
    Ok(())
}

fn batch(wanted: &Wanted<'_>) -> String {
    let (name, mtu) = (wanted.name, wanted.mtu);
    let mut batch =
        format!("link set dev {name} mtu {mtu} txqueuelen {QUEUE_PACKETS} addrgenmode none up\n");
    for address in wanted.addresses {
        batch += &format!("address replace {address} dev {name}\n");
    }
    for route in wanted.routes {
        batch += &format!("route replace {} dev {name}\n", route.trunc());
    }
    batch
}

/// Waits until one of the descriptors can be read. Returns whether each can; none when `stop` was closed.
pub(crate) fn wait(stop: BorrowedFd<'_>, others: &[BorrowedFd<'_>]) -> io::Result<Option<u64>> {
    let all = std::iter::once(&stop).chain(others);
    let mut polled: Vec<_> = all.map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
    if is_ready(&polled[0]) {
        return Ok(None);
    }
    let ready = polled[1..].iter().enumerate();
    Ok(Some(ready.fold(0, |bits, (index, fd)| {
        bits | u64::from(is_ready(fd)) << index
    })))
}

/// The descriptor of a device's queue.
pub(crate) fn fd(queue: &SyncDevice) -> BorrowedFd<'_> {
    queue.as_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_configured_by_lines_for_ip() {
        let net = |text: &str| text.parse().unwrap();
        let wanted = Wanted {
            name: "lisp0",
            queues: 1,
            merges: true,
            mtu: 1464,
            addresses: &[net("192.168.1.1/32")],
            routes: &[net("10.96.7.0/16"), net("2001:db8::/32")],
        };
        assert_eq!(
            batch(&wanted),
            "link set dev lisp0 mtu 1464 txqueuelen 2000 addrgenmode none up\n\
             address replace 192.168.1.1/32 dev lisp0\n\
             route replace 10.96.0.0/16 dev lisp0\n\
             route replace 2001:db8::/32 dev lisp0\n"
        );
    }

    #[test]
    fn a_closed_pipe_ends_the_waiting() {
        let (other, mut writer) = io::pipe().unwrap();
        let (stop, open) = io::pipe().unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(wait(stop.as_fd(), &[other.as_fd()]).unwrap(), Some(1));
        drop(open);
        assert_eq!(wait(stop.as_fd(), &[other.as_fd()]).unwrap(), None);
    }
}
