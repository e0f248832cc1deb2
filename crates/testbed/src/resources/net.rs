//! The network of a pod: the counters of the namespace that one of its processes is in.
//!
//! `/proc/<pid>/net` is that of the process's namespace, whoever reads it. A pod's link to its node is `eth0`; the
//! management link and the loopback are not traffic of what is measured.

use std::fs;
use std::io;

/// A pod's link to its node.
pub const POD_INTERFACE: &str = "eth0";

/// Cumulative figures of a pod's network at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetSample {
    /// What came in by [`POD_INTERFACE`]; none where there is no such interface.
    pub received: Option<Traffic>,
    /// What went out by it.
    pub sent: Option<Traffic>,
    /// UDP over IPv4, of every socket of the namespace.
    pub udp: UdpErrors,
    /// TCP segments sent again, of every connection of the namespace.
    pub tcp_retransmitted: u64,
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes, Ethernet headers included.
    pub bytes: u64,
    /// Packets; one that only the hardware, or nobody, cuts to size counts once.
    pub packets: u64,
    /// Packets that were dropped.
    pub dropped: u64,
}

/// Datagrams that UDP did not deliver or send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpErrors {
    /// Received, and for whatever reason not delivered: those of the buffer and the checksum are among them.
    pub received: u64,
    /// The receiving socket's buffer was full.
    pub receive_buffer: u64,
    /// The sending socket's buffer was full.
    pub send_buffer: u64,
    /// The checksum was wrong.
    pub checksum: u64,
}

/// Reads the network of the namespace that a process is in; an error where it has ended.
pub fn sample(pid: u32) -> io::Result<NetSample> {
    let dev = fs::read_to_string(format!("/proc/{pid}/net/dev"))?;
    let snmp = fs::read_to_string(format!("/proc/{pid}/net/snmp"))?;
    let (received, sent) = interface(&dev, POD_INTERFACE).unzip();
    let udp = |name| counter(&snmp, "Udp:", name).unwrap_or(0);
    Ok(NetSample {
        received,
        sent,
        udp: UdpErrors {
            received: udp("InErrors"),
            receive_buffer: udp("RcvbufErrors"),
            send_buffer: udp("SndbufErrors"),
            checksum: udp("InCsumErrors"),
        },
        tcp_retransmitted: counter(&snmp, "Tcp:", "RetransSegs").unwrap_or(0),
    })
}

/// Whether a process is in a network namespace other than ours, as every pod is.
pub fn is_apart(pid: u32) -> bool {
    let namespace = |who: &str| fs::read_link(format!("/proc/{who}/ns/net")).ok();
    namespace(&pid.to_string())
        .zip(namespace("self"))
        .is_some_and(|(its, ours)| its != ours)
}

/// What an interface received and sent, from `/proc/net/dev`.
pub(crate) fn interface(dev: &str, name: &str) -> Option<(Traffic, Traffic)> {
    let counters = dev.lines().find_map(|line| {
        let (found, counters) = line.split_once(':')?;
        (found.trim() == name).then_some(counters)
    })?;
    let counters: Vec<u64> = counters
        .split_whitespace()
        .map_while(|counter| counter.parse().ok())
        .collect();
    let traffic = |from: usize| {
        Some(Traffic {
            bytes: *counters.get(from)?,
            packets: *counters.get(from + 1)?,
            dropped: *counters.get(from + 3)?,
        })
    };
    // Received: bytes packets errs drop fifo frame compressed multicast. Sent: the same from the ninth on.
    Some((traffic(0)?, traffic(8)?))
}

/// A counter of `/proc/net/snmp`: a line of names, and under it a line of values, both with the protocol before them.
pub(crate) fn counter(snmp: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = snmp
        .lines()
        .filter_map(|line| line.strip_prefix(protocol))
        .map(str::split_whitespace);
    let place = lines.next()?.position(|found| found == name)?;
    lines.next()?.nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3293      31    0    0    0     0          0         0     3293      31    0    0    0     0       0          0
 mgmt0: 9999999    9999    0    9    0     0          0         0  9999999    9999    0    9    0     0       0          0
  eth0:366171735    9197    0    3    0     0          0         0   442033    4840    0    7    0     0       0          0
";
    const SNMP: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors
Ip: 2 64 9223 0
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 20 2 1 6 0 9188 4831 12 0 9 0
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 34 1 50 35 40 2 10 0 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
UdpLite: 1 2 3 4 5 6 7 8 9
";

    #[test]
    fn only_the_pods_own_link_counts() {
        let (received, sent) = interface(DEV, POD_INTERFACE).expect("it is there");
        assert_eq!(
            (received.bytes, received.packets, received.dropped),
            (366_171_735, 9_197, 3)
        );
        assert_eq!(
            (sent.bytes, sent.packets, sent.dropped),
            (442_033, 4_840, 7)
        );
        let (received, sent) = interface(DEV, "mgmt0").expect("it is there");
        assert_eq!((received.dropped, sent.dropped), (9, 9));
        assert_eq!(interface(DEV, "eth1"), None);
        assert_eq!(interface(DEV, "eth"), None);
        assert_eq!(interface("eth0: 1 2 3\n", POD_INTERFACE), None);
    }

    #[test]
    fn a_counter_is_found_by_its_name_wherever_it_stands() {
        let found = ["InErrors", "RcvbufErrors", "SndbufErrors", "InCsumErrors"]
            .map(|name| counter(SNMP, "Udp:", name));
        assert_eq!(found, [Some(50), Some(40), Some(2), Some(10)]);
        assert_eq!(counter(SNMP, "Tcp:", "RetransSegs"), Some(12));
        assert_eq!(counter(SNMP, "Tcp:", "MaxConn"), None, "-1 is no count");
        assert_eq!(counter(SNMP, "Udp:", "Unknown"), None);
        assert_eq!(counter("Udp: InErrors\n", "Udp:", "InErrors"), None);
    }

    #[test]
    fn this_process_is_in_its_own_namespace() {
        let own = std::process::id();
        assert!(sample(own).is_ok() && !is_apart(own));
        assert!(sample(u32::MAX).is_err() && !is_apart(u32::MAX));
    }
}
