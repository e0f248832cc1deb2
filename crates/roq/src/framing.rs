//! RTP and RTCP packets in QUIC's datagrams and streams. Pure.
//!
//! ```text
//!  datagram  Flow Identifier (i), packet (..)
//!  stream    Flow Identifier (i), { Length (i), packet (..) } ...
//! ```

use bytes::Bytes;

use crate::varint;

/// The longest packet that is taken from a stream, in bytes. Datagrams are shorter by themselves.
pub const PACKET_BYTES_MAX: usize = 1 << 16;

/// The identifier of a flow: one direction's RTP, its RTCP, or what is said beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(u64);

impl FlowId {
    /// What client and server say to each other before packets flow.
    pub const SIGNALLING: Self = Self(0);
    /// The RTP packets of the feed that a connection plays.
    pub const RTP: Self = Self(1);
    /// RTCP in both directions.
    pub const RTCP: Self = Self(2);

    /// The flow with this number; none above 62 bits.
    pub const fn new(number: u64) -> Option<Self> {
        if number <= varint::MAX {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The number that goes over the wire.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The reason why bytes are no RTP over QUIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The flow identifier is cut off, or there is none.
    #[error("a datagram or stream without a whole flow identifier")]
    NoFlow,
    /// A packet without a byte.
    #[error("a packet of no bytes")]
    Empty,
    /// A packet longer than is taken.
    #[error("a packet of {0} bytes on a stream, where at most {PACKET_BYTES_MAX} are taken")]
    TooLong(u64),
    /// The stream ends in the middle of a packet.
    #[error("the stream ends in the middle of a packet")]
    Cut,
}

/// `packet` of `flow` as a datagram.
pub fn datagram(flow: FlowId, packet: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(varint::length(flow.0) + packet.len());
    varint::write(flow.0, &mut bytes);
    bytes.extend_from_slice(packet);
    bytes.into()
}

/// The flow of a datagram, and its packet.
pub fn split(datagram: &Bytes) -> Result<(FlowId, Bytes), Malformed> {
    let (flow, packet) = varint::read(datagram).ok_or(Malformed::NoFlow)?;
    if packet.is_empty() {
        return Err(Malformed::Empty);
    }
    Ok((FlowId(flow), datagram.slice_ref(packet)))
}

/// A whole stream of `flow` that carries `packets`.
pub fn stream<'a>(flow: FlowId, packets: impl Iterator<Item = &'a [u8]> + Clone) -> Bytes {
    let length = |packet: &[u8]| varint::length(packet.len() as u64) + packet.len();
    let whole: usize = packets.clone().map(length).sum();
    let mut bytes = Vec::with_capacity(varint::length(flow.0) + whole);
    varint::write(flow.0, &mut bytes);
    for packet in packets {
        varint::write(packet.len() as u64, &mut bytes);
        bytes.extend_from_slice(packet);
    }
    bytes.into()
}

/// Takes a stream apart as it comes. Keeps at most one packet that is not whole yet.
#[derive(Debug, Default)]
pub struct Deframer {
    flow: Option<FlowId>,
    rest: Vec<u8>,
}

impl Deframer {
    /// The flow of the stream, once it is known.
    pub const fn flow(&self) -> Option<FlowId> {
        self.flow
    }

    /// Takes the next `bytes` of the stream and gives each packet that is whole with them to `sink`.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Bytes)) -> Result<(), Malformed> {
        self.rest.extend_from_slice(bytes);
        let mut left = &self.rest[..];
        if self.flow.is_none() {
            let Some((flow, rest)) = varint::read(left) else {
                return Ok(());
            };
            (self.flow, left) = (Some(FlowId(flow)), rest);
        }
        while let Some((length, after)) = varint::read(left) {
            let packet = usize::try_from(length).unwrap_or(usize::MAX);
            if packet > PACKET_BYTES_MAX {
                return Err(Malformed::TooLong(length));
            }
            let Some((packet, rest)) = after.split_at_checked(packet) else {
                break;
            };
            if packet.is_empty() {
                return Err(Malformed::Empty);
            }
            sink(Bytes::copy_from_slice(packet));
            left = rest;
        }
        let used = self.rest.len() - left.len();
        self.rest.drain(..used);
        Ok(())
    }

    /// The stream has ended.
    pub const fn end(&self) -> Result<(), Malformed> {
        match (self.flow, self.rest.is_empty()) {
            (None, _) => Err(Malformed::NoFlow),
            (_, false) => Err(Malformed::Cut),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RTP's shortest packet: version 2, payload type 96 with the marker, sequence 1, timestamp 2, SSRC 3.
    const RTP: [u8; 12] = [0x80, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];

    fn packets(stream: &[u8], chunk: usize) -> Result<(Option<FlowId>, Vec<Bytes>), Malformed> {
        let (mut deframer, mut packets) = (Deframer::default(), Vec::new());
        for bytes in stream.chunks(chunk) {
            deframer.push(bytes, |packet| packets.push(packet))?;
        }
        deframer.end()?;
        Ok((deframer.flow(), packets))
    }

    /// Figures 1 to 3 of the draft, written out: flow 1 takes one byte, flow 300 two (`0x4000 | 300`).
    #[test]
    fn bytes_are_those_of_the_draft() {
        let datagram_1 = [&[0x01][..], &RTP].concat();
        assert_eq!(datagram(FlowId::RTP, &RTP), datagram_1);
        let datagram_300 = [&[0x41, 0x2c][..], &RTP].concat();
        let flow = FlowId::new(300).unwrap();
        assert_eq!(datagram(flow, &RTP), datagram_300);
        assert_eq!(
            split(&Bytes::from(datagram_300)),
            Ok((flow, Bytes::from_static(&RTP)))
        );

        let long = [7; 100];
        let on_stream = [&[0x41, 0x2c][..], &[12], &RTP, &[0x40, 100], &long].concat();
        assert_eq!(stream(flow, [&RTP[..], &long].into_iter()), on_stream);
        let (read, taken) = packets(&on_stream, usize::MAX).unwrap();
        assert_eq!(read, Some(flow));
        assert_eq!(taken, [&RTP[..], &long]);
    }

    #[test]
    fn garbage_is_named() {
        let split = |bytes: &'static [u8]| split(&Bytes::from_static(bytes));
        assert_eq!(split(b""), Err(Malformed::NoFlow));
        assert_eq!(split(b"\x40"), Err(Malformed::NoFlow));
        assert_eq!(split(b"\x01"), Err(Malformed::Empty));
        let packets = |bytes| packets(bytes, usize::MAX).map(|_| ());
        assert_eq!(packets(b""), Err(Malformed::NoFlow));
        assert_eq!(packets(b"\x01"), Ok(()));
        assert_eq!(packets(b"\x01\x00"), Err(Malformed::Empty));
        assert_eq!(packets(b"\x01\x02\x80"), Err(Malformed::Cut));
        assert_eq!(
            packets(b"\x01\x80\x01\x00\x01"),
            Err(Malformed::TooLong(65_537))
        );
        assert_eq!(
            packets(&[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            Err(Malformed::TooLong(varint::MAX))
        );
    }

    proptest! {
        #[test]
        fn what_was_framed_is_read(
            number in 0..=varint::MAX,
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..20),
            chunk in 1_usize..300,
        ) {
            let flow = FlowId::new(number).unwrap();
            for packet in &sent {
                prop_assert_eq!(split(&datagram(flow, packet)), Ok((flow, Bytes::copy_from_slice(packet))));
            }
            let bytes = stream(flow, sent.iter().map(Vec::as_slice));
            let (read, taken) = packets(&bytes, chunk).unwrap();
            prop_assert_eq!(read, Some(flow));
            prop_assert_eq!(taken, sent);
        }

        #[test]
        fn anything_can_come(bytes: Vec<u8>, chunk in 1_usize..64) {
            let whole = packets(&bytes, usize::MAX);
            prop_assert_eq!(packets(&bytes, chunk), whole);
            let _ = split(&bytes.into());
        }
    }
}
