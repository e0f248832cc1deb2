//! Map-Requests within a packet for the EID, as Map-Resolvers and ETRs get them (RFC 9301 section 5.8).

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpNumber, IpSlice, Ipv4Header, Ipv6FlowLabel, Ipv6Header, UdpHeader, UdpSlice};

use super::malformed::Malformed;
use super::request::MapRequest;
use crate::ports::{CONTROL_PORT, DATA_PORT};

/// The type of an Encapsulated Control Message.
pub(super) const TYPE: u8 = 8;

/// Authentication data of LISP-SEC come before the packet: the S bit.
const SECURITY: u32 = 0x0800_0000;

/// The hop limit of the inner packet, which no router sees.
const HOPS: u8 = 64;

/// An Encapsulated Control Message with a Map-Request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encapsulated {
    /// The inner packet's source, to whose port the answer goes.
    pub source: SocketAddr,
    /// The inner packet's destination: the EID that is asked for.
    pub destination: IpAddr,
    pub request: MapRequest,
}

impl Encapsulated {
    /// Reads the bytes of an Encapsulated Control Message.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (head, packet) = bytes
            .split_first_chunk()
            .ok_or(Malformed::Truncated(bytes.len()))?;
        let head = u32::from_be_bytes(*head);
        if (head >> 28) as u8 != TYPE {
            return Err(Malformed::Type((head >> 28) as u8));
        }
        if head & SECURITY != 0 {
            return Err(Malformed::Encapsulated("authentication data of LISP-SEC"));
        }
        let wrong = |what| Malformed::Encapsulated(what);
        let ip = IpSlice::from_slice(packet).map_err(|_| wrong("no IP packet"))?;
        if let Some(v4) = ip.ipv4() {
            let header = v4.header();
            if header.to_header().calc_header_checksum() != header.header_checksum() {
                return Err(wrong("an IP header with a wrong checksum"));
            }
        }
        if ip.is_fragmenting_payload() || ip.payload_ip_number() != IpNumber::UDP {
            return Err(wrong("no whole UDP datagram"));
        }
        let inner = ip.payload().payload;
        let udp = UdpSlice::from_slice(inner).map_err(|_| wrong("no whole UDP datagram"))?;
        let (source, destination) = (ip.source_addr(), ip.destination_addr());
        // "Port number 4341 MUST NOT be assigned to either port. The checksum field MUST be non-zero."
        if udp.source_port() == DATA_PORT || udp.destination_port() != CONTROL_PORT {
            return Err(wrong("a datagram for another port"));
        }
        let header = udp.to_header();
        if header.checksum != checksum(&header, source, destination, udp.payload()) {
            return Err(wrong("a datagram with a wrong checksum"));
        }
        Ok(Self {
            source: SocketAddr::new(source, udp.source_port()),
            destination,
            request: MapRequest::parse(udp.payload())?,
        })
    }

    /// The message, as bytes.
    ///
    /// # Panics
    ///
    /// With source and destination of two families, of which there is no packet, and where [`MapRequest::encode`] does.
    pub fn encode(&self) -> Vec<u8> {
        let payload = self.request.encode();
        let length =
            u16::try_from(payload.len() + UdpHeader::LEN).expect("a Map-Request is below 64 KiB");
        let mut udp = UdpHeader {
            source_port: self.source.port(),
            destination_port: CONTROL_PORT,
            length,
            checksum: 0,
        };
        udp.checksum = checksum(&udp, self.source.ip(), self.destination, &payload);
        let mut out = (u32::from(TYPE) << 28).to_be_bytes().to_vec();
        match (self.source.ip(), self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut ip = Ipv4Header::new(
                    length,
                    HOPS,
                    IpNumber::UDP,
                    source.octets(),
                    destination.octets(),
                )
                .expect("a Map-Request is below 64 KiB");
                ip.header_checksum = ip.calc_header_checksum();
                out.extend(ip.to_bytes());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ip = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: length,
                    next_header: IpNumber::UDP,
                    hop_limit: HOPS,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                out.extend(ip.to_bytes());
            }
            (source, destination) => panic!("no packet goes from {source} to {destination}"),
        }
        out.extend(udp.to_bytes());
        out.extend(payload);
        out
    }
}

/// The checksum that the datagram has to have; 0 where there can be none, which no datagram may have.
fn checksum(udp: &UdpHeader, source: IpAddr, destination: IpAddr, payload: &[u8]) -> u16 {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            udp.calc_checksum_ipv4_raw(source.octets(), destination.octets(), payload)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            udp.calc_checksum_ipv6_raw(source.octets(), destination.octets(), payload)
        }
        _ => return 0,
    }
    .unwrap_or_default()
}
