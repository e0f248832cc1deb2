//! The SSRC and the sequence numbers that viewers of a name see. They belong to the name, not to the feed behind it: a
//! player freezes when they change, and feeds come and go.

use media::rtp::{Malformed, PacketMut};

/// The payload type that viewers of every name see.
pub const PAYLOAD_TYPE: u8 = 96;

/// Gives the packets of a name one SSRC, one payload type and consecutive sequence numbers, whatever feed they come from.
#[derive(Debug)]
pub struct Renumber {
    ssrc: u32,
    next: u16,
}

impl Renumber {
    /// The first packet gets the sequence number `first`.
    pub const fn new(ssrc: u32, first: u16) -> Self {
        Self { ssrc, next: first }
    }

    /// The number that the next packet gets.
    pub const fn next(&self) -> u16 {
        self.next
    }

    /// Rewrites `packet`'s SSRC, payload type and sequence number. Timestamp, marker and payload stay as they are.
    pub fn apply(&mut self, packet: &mut [u8]) -> Result<(), Malformed> {
        let mut packet = PacketMut::new(packet)?;
        packet.set_ssrc(self.ssrc);
        packet.set_payload_type(PAYLOAD_TYPE);
        packet.set_sequence(self.next);
        self.next = self.next.wrapping_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use media::rtp::Packet;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever numbers feeds use, and wherever they restart, a viewer sees one source without a gap.
        #[test]
        fn one_source_without_gaps(
            packets in proptest::collection::vec((any::<[u8; 20]>(), any::<bool>()), 1..200),
            ssrc: u32, first: u16,
        ) {
            let mut renumber = Renumber::new(ssrc, first);
            let mut expected = first;
            for (bytes, marker) in packets {
                let mut before = bytes;
                before[0] = 0x80;
                before[1] = u8::from(marker) << 7 | before[1] & 0x7f;
                let mut after = before;
                renumber.apply(&mut after).unwrap();
                let (old, new) = (Packet::new(&before).unwrap(), Packet::new(&after).unwrap());
                prop_assert_eq!(new.sequence(), expected);
                prop_assert_eq!(new.ssrc(), ssrc);
                prop_assert_eq!(new.timestamp(), old.timestamp());
                prop_assert_eq!(new.marker(), old.marker());
                prop_assert_eq!(new.payload_type(), PAYLOAD_TYPE);
                prop_assert_eq!(new.payload(), old.payload());
                expected = expected.wrapping_add(1);
            }
            prop_assert_eq!(renumber.next(), expected);
        }
    }

    #[test]
    fn what_is_no_packet_takes_no_number() {
        let mut renumber = Renumber::new(1, 7);
        assert!(renumber.apply(&mut [0; 12]).is_err());
        assert_eq!(renumber.next(), 7);
    }
}
