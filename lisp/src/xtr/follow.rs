//! What is looked at of interfaces. Locators follow the addresses of one: a tunnel router that moves to another network keeps its
//! endpoints. Registrations follow the link of one: endpoints that move to another tunnel router are registered there.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::libc;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use tokio::io::unix::AsyncFd;

/// The first address of each family that an interface has, without those of its link alone.
pub(crate) fn addresses(interface: &str) -> io::Result<Vec<IpAddr>> {
    let (mut v4, mut v6) = (None, None);
    for one in getifaddrs()?.filter(|one| one.interface_name == interface) {
        let Some(address) = one.address else {
            continue;
        };
        if let Some(found) = address.as_sockaddr_in() {
            v4.get_or_insert_with(|| IpAddr::V4(found.ip()));
        } else if let Some(found) = address.as_sockaddr_in6()
            && !found.ip().is_unicast_link_local()
        {
            v6.get_or_insert_with(|| IpAddr::V6(found.ip()));
        }
    }
    Ok(v4.into_iter().chain(v6).collect())
}

/// Whether an interface is there, is up, and has a link to somebody.
pub(crate) fn has_link(interface: &str) -> io::Result<bool> {
    // Of what the kernel has for this, the flag that changes with the link itself and not after it.
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_LOWER_UP;
    let mut all = getifaddrs()?;
    Ok(all.any(|one| one.interface_name == interface && one.flags.contains(wanted)))
}

/// The locators after a change: those of before, but for families that the interface has an address of. One that it has lost may be on its
/// way back, or another may be.
pub(crate) fn after(before: &[IpAddr], found: &[IpAddr]) -> Vec<IpAddr> {
    let of_family = |old: &IpAddr| {
        let mut found = found.iter().copied();
        found.find(|new| new.is_ipv4() == old.is_ipv4())
    };
    let all = before.iter();
    all.map(|old| of_family(old).unwrap_or(*old)).collect()
}

/// The kernel's notices of addresses and links that come and go.
#[derive(Debug)]
pub(crate) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    /// Changes from now on.
    #[expect(
        unsafe_code,
        reason = "tokio takes descriptors that are no sockets of its own in no other way"
    )]
    pub(crate) fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        let groups = libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR | libc::RTMGRP_LINK;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups.cast_unsigned()))?;
        // SAFETY: an OwnedFd has its descriptor for itself, and the AsyncFd has it until both end.
        Ok(Self(unsafe { AsyncFd::register(fd) }?))
    }

    /// Waits for a change. What has changed is for [`addresses`] and [`has_link`] to find: a message that got lost is made up for by the
    /// next.
    pub(crate) async fn next(&self) -> io::Result<()> {
        let mut ready = self.0.readable().await?;
        let mut message = [0; 4_096];
        loop {
            match recv(
                self.0.get_ref().as_raw_fd(),
                &mut message,
                MsgFlags::empty(),
            ) {
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_an_address_keeps_the_one_it_had() {
        let addresses =
            |all: &[&str]| -> Vec<IpAddr> { all.iter().map(|one| one.parse().unwrap()).collect() };
        let before = addresses(&["10.0.0.1", "fd00::1"]);
        let moved = after(&before, &addresses(&["10.0.0.3"]));
        assert_eq!(moved, addresses(&["10.0.0.3", "fd00::1"]));
        assert_eq!(after(&before, &[]), before);
        let only = addresses(&["10.0.0.1"]);
        assert_eq!(after(&only, &addresses(&["fd00::2"])), only);
    }

    #[test]
    fn an_interface_has_its_addresses_and_its_link() {
        assert!(!has_link("no-such-one").unwrap());
        assert_eq!(addresses("lo").unwrap()[0], IpAddr::from([127, 0, 0, 1]));
        assert!(addresses("no-such-one").unwrap().is_empty());
    }
}
