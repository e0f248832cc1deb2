//! Which isolation was got, and how the program that runs again learns of it.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::RawFd;

/// The bridge in the runner's network namespace that connects it with every pod.
pub const MANAGEMENT_BRIDGE: &str = "mgmt";

/// The runner's address on [`MANAGEMENT_BRIDGE`].
pub const MANAGEMENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 31, 255, 1);

/// The length of the management network's prefix.
pub const MANAGEMENT_PREFIX: u8 = 24;

/// Tells the program that runs again who it is; see [`Isolation::parse`].
pub(super) const MARKER: &str = "XR_ISOLATION";

/// What the caller wants of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terminal {
    /// The runner only writes to the terminal, and Ctrl-C reaches the guard, which passes it on once. For runs.
    #[default]
    Shared,
    /// The terminal is handed to the runner, as a shell hands it to a job: who reads from it, an interactive shell above all,
    /// has Ctrl-C and job control to itself. Handed back at the end.
    Given,
}

/// The namespaces that this process is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// A user namespace was needed, because the caller is not root here. If not, it is root.
    pub user_namespace: bool,
    /// Processes have numbers of their own, and end with the first of them. If not, the kernel refused a fresh `/proc`,
    /// and processes are tied to each other's life one by one.
    pub pid_namespace: bool,
    /// The guard's process number outside, after which control groups are named: see [`crate::cgroup::name`].
    pub guard: u32,
}

/// Who the caller is after [`super::enter`].
#[derive(Debug)]
pub enum Entered {
    /// The runner, inside: go on. With the port outside that was asked for.
    Inside(Isolation, Option<TcpListener>),
    /// The guard, outside, and the runner has ended: exit with this code, which is the runner's, or 128 + the signal's
    /// number.
    Ended(u8),
}

impl Isolation {
    /// The marker's value for the process of this number, which inherits `listener`.
    pub(super) fn marker(self, pid: u32, listener: Option<RawFd>) -> String {
        let [user, own] = [self.user_namespace, self.pid_namespace].map(u8::from);
        let listener = listener.map_or_else(String::new, |fd| format!(",{fd}"));
        format!("{pid},{},{user},{own}{listener}", self.guard)
    }

    /// Reads a marker, with the number of the inherited listener, if it was made for the process of this number: those whom
    /// the runner starts inherit the variable and are not meant.
    pub(super) fn parse(marker: &str, pid: u32) -> Option<(Self, Option<RawFd>)> {
        let mut fields = marker.split(',').map(str::parse::<u32>);
        let mut next = || fields.next()?.ok();
        let (meant, guard, user, own) = (next()?, next()?, next()?, next()?);
        let isolation = Self {
            user_namespace: user == 1,
            pid_namespace: own == 1,
            guard,
        };
        let listener = next().and_then(|fd| RawFd::try_from(fd).ok());
        (meant == pid).then_some((isolation, listener))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_for_one_process() {
        let isolation = Isolation {
            user_namespace: true,
            pid_namespace: false,
            guard: 4242,
        };
        let marker = isolation.marker(2, None);
        assert_eq!(Isolation::parse(&marker, 2), Some((isolation, None)));
        assert_eq!(
            Isolation::parse(&marker, 3),
            None,
            "a child of the runner inherits it"
        );
        let marker = isolation.marker(2, Some(7));
        assert_eq!(Isolation::parse(&marker, 2), Some((isolation, Some(7))));
        assert_eq!(Isolation::parse("", 2), None);
        assert_eq!(Isolation::parse("2,x", 2), None);
    }
}
