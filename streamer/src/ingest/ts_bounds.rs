//! The bounds of an MPEG-TS body, before a demultiplexer sees it. Pure.
//!
//! A demultiplexer gathers a PES packet until the next one begins, however long that takes, and remembers every stream
//! that a programme map ever named. Its packets are counted first.

use std::collections::BTreeMap;

use super::media_type::TS_PACKET_BYTES;
use crate::feed::assembler::MAX_FRAME_BYTES;

/// Every packet begins with it (ISO/IEC 13818-1 section 2.4.3.2).
const SYNC: u8 = 0x47;

/// Streams and tables that a feed may have, and more than any has.
const MAX_PIDS: usize = 64;

/// Bytes of all streams' units that have not ended: a picture, and what others send beside it.
const MAX_UNENDED_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// The PID of packets that carry nothing.
const NULL_PID: u16 = 0x1fff;

/// The reason why a body of MPEG-TS is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Beyond {
    /// A packet does not begin where the one before it ends.
    #[error("a packet of MPEG-TS does not begin with the byte 47")]
    OutOfStep,
    /// The body has too many streams and tables.
    #[error("more than {MAX_PIDS} streams and tables")]
    Pids,
    /// A picture or a table does not end.
    #[error("a picture of more than {MAX_FRAME_BYTES} bytes")]
    Endless,
    /// Units of many streams do not end.
    #[error(
        "streams with more than {MAX_UNENDED_BYTES} bytes between the beginnings of their units"
    )]
    Unended,
}

/// Counts the packets of a body of MPEG-TS.
#[derive(Debug, Default)]
pub struct Bounds {
    /// Bytes of the packet that is coming, and its first four.
    at: usize,
    head: [u8; 4],
    /// Bytes since the last unit of each PID began.
    units: BTreeMap<u16, usize>,
    /// Of all of them.
    unended: usize,
}

impl Bounds {
    /// Counts the next bytes of the body, of any length.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Beyond> {
        while !bytes.is_empty() {
            if let Some(place) = self.head.get_mut(self.at) {
                *place = bytes[0];
                bytes = &bytes[1..];
                self.at += 1;
                if self.at == self.head.len() {
                    self.begin()?;
                }
            } else {
                let taken = bytes.len().min(TS_PACKET_BYTES - self.at);
                bytes = &bytes[taken..];
                self.at = (self.at + taken) % TS_PACKET_BYTES;
            }
        }
        Ok(())
    }

    /// The head of a packet is whole.
    fn begin(&mut self) -> Result<(), Beyond> {
        let [sync, high, low, _] = self.head;
        if sync != SYNC {
            return Err(Beyond::OutOfStep);
        }
        let pid = u16::from_be_bytes([high & 0x1f, low]);
        if pid == NULL_PID {
            return Ok(());
        }
        if !self.units.contains_key(&pid) && self.units.len() >= MAX_PIDS {
            return Err(Beyond::Pids);
        }
        let unit = self.units.entry(pid).or_default();
        let begins = high & 0x40 != 0;
        if begins {
            self.unended -= std::mem::take(unit);
        }
        *unit += TS_PACKET_BYTES;
        self.unended += TS_PACKET_BYTES;
        if *unit > MAX_FRAME_BYTES {
            return Err(Beyond::Endless);
        }
        if self.unended > MAX_UNENDED_BYTES {
            return Err(Beyond::Unended);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(pid: u16, begins: bool) -> Vec<u8> {
        let mut packet = vec![0; TS_PACKET_BYTES];
        let [high, low] = pid.to_be_bytes();
        packet[..4].copy_from_slice(&[SYNC, high | u8::from(begins) << 6, low, 0x10]);
        packet
    }

    #[test]
    fn a_picture_ends_before_it_is_too_long() {
        let mut bounds = Bounds::default();
        let most = MAX_FRAME_BYTES / TS_PACKET_BYTES;
        for _ in 0..3 {
            bounds.push(&packet(256, true)).expect("it begins");
            for _ in 1..most {
                bounds.push(&packet(256, false)).expect("it goes on");
                bounds.push(&packet(NULL_PID, false)).expect("nothing");
            }
        }
        assert_eq!(bounds.push(&packet(256, false)), Err(Beyond::Endless));
    }

    #[test]
    fn many_streams_have_one_bound() {
        let mut bounds = Bounds::default();
        let each = MAX_UNENDED_BYTES / TS_PACKET_BYTES / 16;
        let mut all = (0..16).flat_map(|pid| std::iter::repeat_n(packet(pid, false), each));
        assert!(all.all(|packet| bounds.push(&packet).is_ok()));
        // One that ends makes room.
        for _ in 1..each {
            bounds.push(&packet(0, true)).expect("it begins anew");
        }
        let more = std::iter::repeat_n(packet(1, false), 2 * each);
        let refused = more.map(|packet| bounds.push(&packet)).find(Result::is_err);
        assert_eq!(refused, Some(Err(Beyond::Unended)));
    }

    #[test]
    fn streams_are_counted_and_packets_follow_each_other() {
        let mut bounds = Bounds::default();
        for pid in 0..64 {
            bounds.push(&packet(pid, false)).expect("room");
        }
        assert_eq!(bounds.push(&packet(64, true)), Err(Beyond::Pids));
        let mut bounds = Bounds::default();
        bounds.push(&packet(1, true)).expect("a packet");
        assert_eq!(bounds.push(&[0; 4]), Err(Beyond::OutOfStep));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in proptest::collection::vec(1_usize..500, 1..40)) {
            let body: Vec<u8> = (0..40).flat_map(|n| packet(n % 7, n % 3 == 0)).collect();
            let (mut whole, mut pieces) = (Bounds::default(), Bounds::default());
            prop_assert_eq!(whole.push(&body), Ok(()));
            let mut rest = &body[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                prop_assert_eq!(pieces.push(piece), Ok(()));
                rest = after;
            }
            prop_assert_eq!(pieces.push(rest), Ok(()));
            prop_assert_eq!(whole.units, pieces.units);
        }

        #[test]
        fn any_bytes_are_counted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut bounds = Bounds::default();
            let _ = bounds.push(&bytes);
            prop_assert!(bounds.units.len() <= MAX_PIDS);
        }
    }
}
