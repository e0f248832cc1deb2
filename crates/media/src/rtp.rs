//! The RTP header (RFC 3550 section 5.1) as a view over bytes: reading is total, patching touches four fields and nothing
//! else.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//! |                           timestamp                           |
//! |           synchronization source (SSRC) identifier            |
//! |            contributing sources, CC times 4 bytes             |
//! ```

use timeline::RtpTimestamp;

/// Bytes of a header without contributing sources or extension.
pub const HEADER_BYTES: usize = 12;

/// The reason why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Fewer bytes than the header, its contributing sources, its extension or its padding need.
    #[error(
        "an RTP packet of {have} bytes is shorter than the {need} bytes that its header asks for"
    )]
    Short { have: usize, need: usize },
    /// The two version bits are not 2.
    #[error("RTP version {0} instead of 2")]
    Version(u8),
}

/// A packet whose header was checked.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    payload: (usize, usize),
}

impl<'a> Packet<'a> {
    /// Checks the header of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let payload = payload_range(bytes)?;
        Ok(Self { bytes, payload })
    }

    /// Whether the marker bit is set: for video, the last packet of a frame.
    pub const fn marker(self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// The payload type, 7 bits.
    pub const fn payload_type(self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// The packet's sequence number.
    pub fn sequence(self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The timestamp: of a frame of ours, its key.
    pub fn timestamp(self) -> RtpTimestamp {
        RtpTimestamp(word(self.bytes, 4))
    }

    /// The packet's synchronisation source (SSRC).
    pub fn ssrc(self) -> u32 {
        word(self.bytes, 8)
    }

    /// What follows the header, its contributing sources and its extension, without padding.
    pub fn payload(self) -> &'a [u8] {
        &self.bytes[self.payload.0..self.payload.1]
    }
}

/// A packet whose header was checked and may be changed.
#[derive(Debug)]
pub struct PacketMut<'a> {
    bytes: &'a mut [u8],
}

impl<'a> PacketMut<'a> {
    /// Checks the header of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Result<Self, Malformed> {
        payload_range(bytes)?;
        Ok(Self { bytes })
    }

    /// Sets or clears the marker bit.
    pub const fn set_marker(&mut self, marker: bool) {
        self.bytes[1] = self.bytes[1] & 0x7f | (marker as u8) << 7;
    }

    /// Sets the payload type; only the low 7 bits count.
    pub const fn set_payload_type(&mut self, payload_type: u8) {
        self.bytes[1] = self.bytes[1] & 0x80 | payload_type & 0x7f;
    }

    /// Sets the sequence number.
    pub fn set_sequence(&mut self, sequence: u16) {
        self.bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
    }

    pub fn set_timestamp(&mut self, timestamp: RtpTimestamp) {
        self.bytes[4..8].copy_from_slice(&timestamp.0.to_be_bytes());
    }

    /// Sets the synchronisation source.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.bytes[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Where the payload begins and ends; at least [`HEADER_BYTES`] bytes are there if this is `Ok`.
fn payload_range(bytes: &[u8]) -> Result<(usize, usize), Malformed> {
    let have = bytes.len();
    let need = |need| {
        if have < need {
            Err(Malformed::Short { have, need })
        } else {
            Ok(need)
        }
    };
    need(HEADER_BYTES)?;
    if bytes[0] >> 6 != 2 {
        return Err(Malformed::Version(bytes[0] >> 6));
    }
    let mut start = need(HEADER_BYTES + 4 * usize::from(bytes[0] & 0x0f))?;
    if bytes[0] & 0x10 != 0 {
        let header = need(start + 4)?;
        let words = usize::from(u16::from_be_bytes([bytes[header - 2], bytes[header - 1]]));
        start = need(header + 4 * words)?;
    }
    let padding = if bytes[0] & 0x20 != 0 {
        usize::from(bytes[have - 1])
    } else {
        0
    };
    need(start + padding)?;
    Ok((start, have - padding))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: [u8; 14] = [
        0x80, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 0x65, 0x99,
    ];

    #[test]
    fn fields_are_where_the_standard_puts_them() {
        let packet = Packet::new(&PLAIN).unwrap();
        assert!(packet.marker());
        assert_eq!(packet.payload_type(), 96);
        assert_eq!(packet.sequence(), 0x1234);
        assert_eq!(packet.timestamp(), RtpTimestamp(0xdead_beef));
        assert_eq!(packet.ssrc(), 0x0102_0304);
        assert_eq!(packet.payload(), [0x65, 0x99]);
    }

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let mut bytes = vec![0xb1, 0x60];
        bytes.extend([0; 10]);
        bytes.extend([9; 4]);
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        bytes.extend([0x41, 0x42, 0, 2]);
        assert_eq!(Packet::new(&bytes).unwrap().payload(), [0x41, 0x42]);
    }

    #[test]
    fn what_is_no_packet_is_named() {
        assert_eq!(
            Packet::new(&PLAIN[..11]).unwrap_err(),
            Malformed::Short { have: 11, need: 12 }
        );
        assert_eq!(Packet::new(&[0x40; 12]).unwrap_err(), Malformed::Version(1));
        // The last byte is the padding's length, and there is not so much.
        let mut padded = PLAIN;
        padded[0] |= 0x20;
        assert_eq!(
            Packet::new(&padded).unwrap_err(),
            Malformed::Short {
                have: 14,
                need: 12 + 0x99
            }
        );
    }

    proptest! {
        #[test]
        fn reading_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            if let Ok(packet) = Packet::new(&bytes) {
                prop_assert!(packet.payload().len() + HEADER_BYTES <= bytes.len());
            }
        }

        #[test]
        fn patching_changes_only_what_it_names(
            rest in proptest::collection::vec(any::<u8>(), 0..32),
            sequence: u16, timestamp: u32, ssrc: u32, marker: bool, payload_type in 0_u8..128,
        ) {
            let mut bytes = PLAIN[..12].to_vec();
            bytes.extend(&rest);
            let mut packet = PacketMut::new(&mut bytes).unwrap();
            packet.set_sequence(sequence);
            packet.set_timestamp(RtpTimestamp(timestamp));
            packet.set_ssrc(ssrc);
            packet.set_payload_type(payload_type);
            packet.set_marker(marker);
            let packet = Packet::new(&bytes).unwrap();
            prop_assert_eq!(packet.sequence(), sequence);
            prop_assert_eq!(packet.timestamp(), RtpTimestamp(timestamp));
            prop_assert_eq!(packet.ssrc(), ssrc);
            prop_assert_eq!(packet.marker(), marker);
            prop_assert_eq!(packet.payload_type(), payload_type);
            prop_assert_eq!(packet.payload(), &rest[..]);
        }
    }
}
