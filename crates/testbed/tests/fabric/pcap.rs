//! What a capture shows, by tshark.

use std::path::Path;
use std::process::Command;

/// A packet of a capture.
#[derive(Debug)]
pub(crate) struct Packet {
    /// Protocols of the packet, outermost first: `eth:ethertype:ip:udp:wg`.
    pub(crate) protocols: String,
    /// The length of the outermost IP packet, in bytes.
    pub(crate) ip_bytes: u16,
    /// UDP ports of the packet, if it has any.
    pub(crate) udp_ports: Vec<u16>,
}

/// Every packet of a file.
pub(crate) fn read(file: &Path) -> Vec<Packet> {
    let fields = ["frame.protocols", "ip.len", "udp.srcport", "udp.dstport"];
    let fields = fields.iter().flat_map(|field| ["-e", *field]);
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        // A drawn source port may be one that a protocol is registered for.
        .args(["-o", "udp.try_heuristic_first:TRUE"])
        .args(["-n", "-T", "fields", "-E", "occurrence=f"])
        .args(fields)
        .output()
        .expect("tshark is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark: {error}");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(packet).collect()
}

fn packet(line: &str) -> Packet {
    let mut fields = line.split('\t');
    let mut next = || fields.next().unwrap_or_default();
    Packet {
        protocols: next().to_owned(),
        ip_bytes: next().parse().unwrap_or(0),
        udp_ports: [next(), next()]
            .iter()
            .filter_map(|port| port.parse().ok())
            .collect(),
    }
}

/// The largest IP packet, in bytes.
pub(crate) fn largest(packets: &[Packet]) -> u16 {
    let sizes = packets.iter().map(|packet| packet.ip_bytes);
    sizes.max().expect("the capture holds packets")
}

/// How many packets are of this size, in bytes.
pub(crate) fn of_size(packets: &[Packet], ip_bytes: u16) -> usize {
    packets
        .iter()
        .filter(|packet| packet.ip_bytes == ip_bytes)
        .count()
}
