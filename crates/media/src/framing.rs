//! RTP packets on a byte stream, as RFC 4571 frames them: a length of two bytes, then the packet.
//!
//! ```text
//! | LENGTH, 16 bit, big-endian | RTP packet ... | LENGTH | RTP packet ... |
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The longest packet that the framing carries.
pub const MAX_PACKET_BYTES: usize = u16::MAX as usize;

/// A packet that the framing cannot carry, or that a reader does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a packet of {length} bytes, more than the {limit} that are taken")]
pub struct TooLong {
    /// The packet's length in bytes.
    pub length: usize,
    /// The most that is taken, in bytes.
    pub limit: usize,
}

/// Appends `packet` with its length to `body`.
pub fn append(body: &mut BytesMut, packet: &[u8]) -> Result<(), TooLong> {
    let length = u16::try_from(packet.len()).map_err(|_| TooLong {
        length: packet.len(),
        limit: MAX_PACKET_BYTES,
    })?;
    body.reserve(2 + packet.len());
    body.put_u16(length);
    body.put_slice(packet);
    Ok(())
}

/// Cuts a stream of bytes, which may arrive in pieces of any size, into packets.
///
/// It holds at most one unfinished packet beyond what the caller pushed and did not take: push a piece, take packets
/// until there is none, push the next.
#[derive(Debug)]
pub struct Deframer {
    buffer: BytesMut,
    limit: usize,
    broken: Option<TooLong>,
}

impl Deframer {
    /// A deframer that refuses packets of more than `limit` bytes, before it has buffered them.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            limit,
            broken: None,
        }
    }

    /// Appends bytes that arrived.
    pub fn push(&mut self, piece: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(piece);
        }
    }

    /// Takes the next whole packet, if there is one.
    ///
    /// Null packets (length 0), which RFC 4571 allows as keep-alives, are skipped. After an error the stream has lost its
    /// framing: every further call gives the same error.
    pub fn next_packet(&mut self) -> Result<Option<Bytes>, TooLong> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        while let Some(&[high, low]) = self.buffer.first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length > self.limit {
                let broken = TooLong {
                    length,
                    limit: self.limit,
                };
                self.broken = Some(broken);
                self.buffer = BytesMut::new();
                return Err(broken);
            }
            if self.buffer.len() < 2 + length {
                self.buffer.reserve(2 + length - self.buffer.len());
                return Ok(None);
            }
            self.buffer.advance(2);
            if length > 0 {
                return Ok(Some(self.buffer.split_to(length).freeze()));
            }
        }
        Ok(None)
    }

    /// Bytes of a packet that has begun and not ended: not zero at the end of a stream means that it was cut off.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_above_the_limit_breaks_the_stream_before_it_is_buffered() {
        let mut deframer = Deframer::new(1500);
        deframer.push(&[0, 1, 7, 0xff, 0xff]);
        assert_eq!(deframer.next_packet().unwrap().unwrap(), [7_u8][..]);
        let broken = TooLong {
            length: 65_535,
            limit: 1500,
        };
        assert_eq!(deframer.next_packet(), Err(broken));
        deframer.push(&[0; 4096]);
        assert_eq!(deframer.next_packet(), Err(broken));
        assert_eq!(deframer.pending_bytes(), 0);
    }

    #[test]
    fn a_cut_packet_is_seen() {
        let mut deframer = Deframer::new(MAX_PACKET_BYTES);
        deframer.push(&[0, 0, 0, 3, 1]);
        assert_eq!(deframer.next_packet(), Ok(None));
        assert_eq!(deframer.pending_bytes(), 3);
    }

    #[test]
    fn a_packet_that_does_not_fit_is_refused() {
        let mut body = BytesMut::new();
        assert!(append(&mut body, &vec![0; MAX_PACKET_BYTES + 1]).is_err());
        assert!(body.is_empty());
        append(&mut body, &vec![0; MAX_PACKET_BYTES]).unwrap();
        assert_eq!(body.len(), MAX_PACKET_BYTES + 2);
    }

    proptest! {
        #[test]
        fn packets_survive_any_cutting(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
            cuts in proptest::collection::vec(1_usize..97, 1..50),
        ) {
            let mut body = BytesMut::new();
            for packet in &packets {
                append(&mut body, packet).unwrap();
            }
            let mut deframer = Deframer::new(MAX_PACKET_BYTES);
            let mut read = Vec::new();
            let mut rest = &body[..];
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                deframer.push(piece);
                while let Some(packet) = deframer.next_packet().unwrap() {
                    read.push(packet.to_vec());
                }
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let sent: Vec<_> = packets.into_iter().filter(|packet| !packet.is_empty()).collect();
            prop_assert_eq!(read, sent);
            prop_assert_eq!(deframer.pending_bytes(), 0);
        }

        #[test]
        fn reading_is_total_and_bounded(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
            limit in 0_usize..2000,
        ) {
            let mut deframer = Deframer::new(limit);
            for piece in &pieces {
                deframer.push(piece);
                while let Ok(Some(packet)) = deframer.next_packet() {
                    prop_assert!(packet.len() <= limit);
                }
                prop_assert!(deframer.pending_bytes() < limit.max(1) + 2);
            }
        }
    }
}
