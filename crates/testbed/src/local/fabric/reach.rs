//! A built fabric: how its pods reach the streamer, and what fits through.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::ops::RangeInclusive;

use thiserror::Error;

use super::carriers::Carriers;
use crate::local::topology::{End, Topology};

/// The MTU of Ethernet, in bytes.
pub(super) const ETHERNET_MTU_BYTES: u16 = 1500;

/// An IPv4 header without options, in bytes.
const IP_BYTES: u16 = 20;

/// A UDP header, in bytes.
const UDP_BYTES: u16 = 8;

/// What WireGuard adds to a packet of its own: type, receiver and counter, and the tag; in bytes.
const WIREGUARD_BYTES: u16 = 32;

/// The header of LISP's data plane, in bytes.
const LISP_BYTES: u16 = 8;

/// The UDP port of LISP's data plane.
const LISP_PORT: u16 = 4341;

/// The longest IP packet in a LISP tunnel over Ethernet, in bytes: S of RFC 9300, section 7.1.
pub(super) const LISP_MTU_BYTES: u16 = ETHERNET_MTU_BYTES - LISP_BYTES - UDP_BYTES - IP_BYTES;

/// A fabric, ready to be applied.
#[derive(Clone, Debug)]
pub struct BuiltFabric {
    /// What the lab is made of.
    pub topology: Topology,
    /// How the pods reach the streamer in it.
    pub reach: StreamerReach,
}

/// How a lab's pods reach the streamer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamerReach {
    /// The fabric: `single`, `nodeport-cluster`, `nodeport-local`, `liqo-v1.2`, `liqo-v0.10`, `lisp`.
    pub name: &'static str,
    /// What a renderer dials.
    pub feed: SocketAddrV4,
    /// What a client dials.
    pub rtsp: SocketAddrV4,
    /// What a client dials over UDP for RTP over QUIC.
    pub quic: SocketAddrV4,
    /// Whether RTP on UDP finds a client.
    pub rtp_over_udp: RtpOverUdp,
    /// The largest IP packet between client and streamer, in bytes.
    pub mtu_bytes: u16,
    /// How often a frame crosses the WAN on its way from the renderer to the client.
    pub wan_crossings: u8,
    /// What wraps a packet between the clusters on the WAN, the innermost first; nothing where packets cross as they are.
    pub encapsulations: Vec<Encapsulation>,
    /// What does the work, for people.
    pub backend: String,
    /// The carriers of the packets, as data.
    pub carriers: Carriers,
    /// What stands in front of the streamer, for people.
    pub service: String,
    /// Where packets can be captured, by name: `wan-a`, `overlay-b`, `tunnel-a`, `bridge-a`, `pod-client`.
    pub captures: BTreeMap<String, End>,
}

/// A protocol that wraps IP packets on the WAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulation {
    /// WireGuard, to and from this UDP port of cluster B's node.
    Wireguard { udp_port: u16 },
    /// LISP between tunnel routers, to UDP port 4341.
    Lisp,
}

impl Encapsulation {
    /// The outer IP packet around an IP packet on a path of this MTU; all in bytes.
    fn packet_bytes(self, ip_packet_bytes: u16, mtu_bytes: u16) -> u16 {
        match self {
            Self::Wireguard { .. } => {
                // WireGuard pads to a multiple of 16 bytes, but not beyond the MTU.
                let padded = ip_packet_bytes.next_multiple_of(16);
                let inside = padded.min(mtu_bytes).max(ip_packet_bytes);
                inside + WIREGUARD_BYTES + UDP_BYTES + IP_BYTES
            }
            Self::Lisp => ip_packet_bytes + LISP_BYTES + UDP_BYTES + IP_BYTES,
        }
    }
}

/// Whether RTP on UDP finds the client that asked for it over RTSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtpOverUdp {
    /// RTP finds the client.
    Works,
    /// RTP finds the client if the streamer serves from these UDP ports: they are NodePorts of the same numbers.
    WorksFromPorts(RangeInclusive<u16>),
    /// RTP cannot find the client: RTSP must carry it on its TCP connection.
    CannotReturn { reason: &'static str },
}

/// An RTP packet that the path cuts up or drops.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "an RTP packet of {packet_bytes} bytes does not pass the fabric {fabric}, whose packets are at most {mtu_bytes} bytes: \
     RTP packets of at most {max_bytes} bytes fit"
)]
pub struct TooLarge {
    /// The packet's size, RTP header included, in bytes.
    pub packet_bytes: u16,
    /// The largest that fits, in bytes.
    pub max_bytes: u16,
    /// The largest IP packet, in bytes.
    pub mtu_bytes: u16,
    pub fabric: &'static str,
}

impl StreamerReach {
    /// The largest payload of a UDP packet that reaches the other side whole, in bytes.
    pub const fn max_udp_payload_bytes(&self) -> u16 {
        max_rtp_packet_bytes(self.mtu_bytes)
    }

    /// The size on the WAN of an IP packet between client and streamer, headers of IP included, in bytes.
    pub fn wan_packet_bytes(&self, ip_packet_bytes: u16) -> u16 {
        let wraps = self.encapsulations.iter();
        wraps.fold(ip_packet_bytes, |inside, wrap| {
            wrap.packet_bytes(inside, self.mtu_bytes)
        })
    }

    /// The UDP port that every packet between the clusters goes to or comes from; none where packets cross the WAN as they are.
    pub fn wan_udp_port(&self) -> Option<u16> {
        let outermost = self.encapsulations.last()?;
        match outermost {
            Encapsulation::Wireguard { udp_port } => Some(*udp_port),
            Encapsulation::Lisp => Some(LISP_PORT),
        }
    }
}

/// Whether an RTP packet on UDP, RTP header included, reaches the other side whole.
pub fn fits(rtp_packet_bytes: u16, reach: &StreamerReach) -> Result<(), TooLarge> {
    let max_bytes = reach.max_udp_payload_bytes();
    if rtp_packet_bytes <= max_bytes {
        return Ok(());
    }
    Err(TooLarge {
        packet_bytes: rtp_packet_bytes,
        max_bytes,
        mtu_bytes: reach.mtu_bytes,
        fabric: reach.name,
    })
}

/// The largest RTP packet on UDP on a path of this MTU, RTP header included; both in bytes.
const fn max_rtp_packet_bytes(mtu_bytes: u16) -> u16 {
    mtu_bytes.saturating_sub(IP_BYTES + UDP_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wireguard_packet_bytes(ip_packet_bytes: u16, mtu_bytes: u16) -> u16 {
        Encapsulation::Wireguard { udp_port: 1 }.packet_bytes(ip_packet_bytes, mtu_bytes)
    }

    #[test]
    fn the_byte_budget_is_liqos() {
        // Figures of Liqo's documentation for its default MTU, 1340.
        assert_eq!(max_rtp_packet_bytes(1340), 1312);
        assert_eq!(max_rtp_packet_bytes(1340) - 12, 1300, "RTP payload");
        assert_eq!(wireguard_packet_bytes(1340, 1340), 1400);
        // On a clean path of 1500 bytes, 1440 is the best MTU.
        assert_eq!(wireguard_packet_bytes(1440, 1440), 1500);
    }

    #[test]
    fn the_byte_budget_is_lisps() {
        // RFC 9300, section 7.1, for L = 1500 and locators of IPv4.
        assert_eq!(LISP_MTU_BYTES, 1464);
        assert_eq!(
            Encapsulation::Lisp.packet_bytes(LISP_MTU_BYTES, LISP_MTU_BYTES),
            1500
        );
    }

    #[test]
    fn wireguard_pads_to_16_bytes() {
        assert_eq!(wireguard_packet_bytes(0, 1340), 60, "a keep-alive");
        assert_eq!(wireguard_packet_bytes(28, 1340), 60 + 32);
        assert_eq!(wireguard_packet_bytes(1328, 1340), 60 + 1328);
        assert_eq!(wireguard_packet_bytes(1329, 1340), 60 + 1340);
    }
}
