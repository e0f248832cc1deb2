//! What RTP sequence numbers say of loss, and when the first picture is whole.

/// What a viewer has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub received: u64,
    /// Bytes of them, headers of RTP included.
    pub bytes: u64,
    /// Packets that the sequence numbers promise, from the first one to the highest.
    pub expected: u64,
    /// How often the sender's SSRC changed, where a player would freeze.
    pub ssrc_changes: u64,
    /// Bytes that were no RTP packet.
    pub malformed: u64,
}

impl Seen {
    /// Packets that did not come.
    pub const fn missing(self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// The part that did not come, 0 to 1.
    pub fn loss(self) -> f64 {
        if self.expected == 0 {
            1.0
        } else {
            self.missing() as f64 / self.expected as f64
        }
    }

    /// What came after `earlier`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received - earlier.received,
            bytes: self.bytes - earlier.bytes,
            expected: self.expected - earlier.expected,
            ssrc_changes: self.ssrc_changes - earlier.ssrc_changes,
            malformed: self.malformed - earlier.malformed,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Count {
    seen: Seen,
    ssrc: Option<u32>,
    highest: Option<u16>,
    /// The timestamp of a key frame whose packets have all come so far.
    key_frame: Option<u32>,
}

impl Count {
    pub(super) const fn seen(&self) -> Seen {
        self.seen
    }

    /// Takes a packet, and says whether it completes a key frame.
    pub(super) fn packet(&mut self, bytes: &[u8]) -> bool {
        // RFC 3550 section 5.1: version, CSRC count and extension in the first byte, marker in the second.
        let Some((head, rest)) = bytes
            .split_first_chunk::<12>()
            .filter(|(head, _)| head[0] >> 6 == 2)
        else {
            self.seen.malformed += 1;
            return false;
        };
        let marker = head[1] & 0x80 != 0;
        let sequence = u16::from_be_bytes([head[2], head[3]]);
        let timestamp = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if self.ssrc.replace(ssrc).is_some_and(|before| before != ssrc) {
            self.seen.ssrc_changes += 1;
        }
        let step = self
            .highest
            .map_or(1, |highest| sequence.wrapping_sub(highest));
        if step == 0 {
            return false;
        }
        self.seen.received += 1;
        self.seen.bytes += bytes.len() as u64;
        // Beyond half of the circle it is a late one.
        if (1..0x8000).contains(&step) {
            self.highest = Some(sequence);
            self.seen.expected += u64::from(step);
        }
        if step != 1 {
            self.key_frame = None;
        }
        let payload = rest
            .get(usize::from(head[0] & 0x0f) * 4..)
            .unwrap_or_default();
        if begins_key_frame(payload) && self.key_frame.is_none() {
            self.key_frame = Some(timestamp);
        }
        if self.key_frame.is_some_and(|of| of != timestamp) {
            self.key_frame = None;
        }
        marker && self.key_frame.take().is_some()
    }
}

/// Whether a slice of a key frame (NAL type 5) begins in this payload (RFC 6184 sections 5.6 to 5.8).
fn begins_key_frame(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    match payload {
        [first, ..] if first & 0x1f == IDR => true,
        [first, second, ..] if first & 0x1f == 28 => second & 0x80 != 0 && second & 0x1f == IDR,
        [first, rest @ ..] if first & 0x1f == 24 => {
            let mut rest = rest;
            while let [high, low, unit @ ..] = rest {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                if unit.first().is_some_and(|first| first & 0x1f == IDR) {
                    return true;
                }
                rest = unit.get(length..).unwrap_or_default();
            }
            false
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16, marker: bool, nal: u8) -> Vec<u8> {
        let mut bytes = vec![0x80, if marker { 0xe0 } else { 0x60 }];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0, 0, 0, 7, 0, 0, 0, 9, nal]);
        bytes
    }

    #[test]
    fn gaps_are_missing_and_late_ones_are_not() {
        let mut count = Count::default();
        for sequence in [65_534, 65_535, 1, 2, 0, 2, 4] {
            count.packet(&packet(sequence, false, 1));
        }
        let seen = count.seen();
        assert_eq!((seen.received, seen.expected, seen.missing()), (6, 7, 1));
        count.packet(b"nonsense");
        assert_eq!(count.seen().malformed, 1);
    }

    #[test]
    fn a_picture_is_whole_at_the_marker_of_a_key_frame() {
        let mut count = Count::default();
        assert!(!count.packet(&packet(0, true, 1)), "no key frame");
        assert!(!count.packet(&packet(1, false, 5)), "not yet whole");
        assert!(count.packet(&packet(2, true, 1)), "whole");
        assert!(!count.packet(&packet(3, false, 5)));
        assert!(!count.packet(&packet(5, true, 1)), "a packet is missing");
    }
}
