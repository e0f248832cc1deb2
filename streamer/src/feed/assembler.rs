//! Packets become frames. Pure.
//!
//! Viewers get whole frames only, beginning with a key frame: of a frame that lost a packet on the way here nothing is
//! passed on, and the next frame follows.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use media::h264;
use media::rtp::{Malformed, Packet};
use timeline::RtpTimestamp;

/// The longest packet that is taken: with IP and UDP headers it fills an Ethernet frame of 1500 bytes, and nobody after
/// the streamer can cut it smaller.
pub const MAX_PACKET_BYTES: usize = 1472;

/// The longest frame that is taken: at 60 frames a second this is 2 Gbit/s.
pub const MAX_FRAME_BYTES: usize = 4 << 20;

/// The most packets of a frame: of the 1150 bytes that are usual, [`MAX_FRAME_BYTES`] are fewer. The RTSP server needs 288
/// bytes of its stack for each packet that it sends over TCP at once.
pub const MAX_FRAME_PACKETS: usize = 4096;

/// A frame, whole: its packets, with the headers that they came with, in one piece of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The timestamp that all its packets carry.
    pub timestamp: RtpTimestamp,
    /// Whether a decoder can begin here.
    pub key: bool,
    packets: Packets,
}

impl Frame {
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.packets.ends.iter().map(move |&end| {
            let packet = &self.packets.bytes[start..end];
            start = end;
            packet
        })
    }

    /// The packets of the frame, each changed by `change`. None is copied.
    pub fn into_packets(self, mut change: impl FnMut(&mut [u8])) -> Arc<[Bytes]> {
        let Packets { mut bytes, ends } = self.packets;
        let mut start = 0;
        let packets = ends.into_iter().map(|end| {
            let mut packet = bytes.split_to(end - start);
            start = end;
            change(&mut packet);
            packet.freeze()
        });
        packets.collect()
    }
}

/// Packets one after the other, and where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Packets {
    bytes: BytesMut,
    ends: Vec<usize>,
}

impl Packets {
    fn add(&mut self, packet: &[u8]) {
        self.bytes.extend_from_slice(packet);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The reason why a packet ends its feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The packet is no RTP.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The packet is of another stream than was announced.
    #[error("a packet of payload type {found} in a feed that announced {announced}")]
    PayloadType {
        /// Payload type of the packet.
        found: u8,
        /// Payload type of the feed's content type.
        announced: u8,
    },
    /// The payload is not H.264, or in a packing that players need not know.
    #[error(
        "an RTP payload that begins with NAL unit type {0}, which is not H.264 in packetization mode 0 or 1"
    )]
    Nal(u8),
    /// The frame has no end.
    #[error("a frame of more than {MAX_FRAME_BYTES} bytes or {MAX_FRAME_PACKETS} packets")]
    FrameTooLong,
}

/// What a packet led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// A frame that is complete with this packet, or that this packet showed to be.
    pub frame: Option<Frame>,
    /// Packets of the feed that never came, by their sequence numbers.
    pub missing: u16,
    /// Frames, or the rests of frames, that are not passed on: cut by a gap, or before the first key frame.
    pub skipped: u32,
}

impl Step {
    /// The number of frames that ended with this packet, passed on or not.
    pub fn frames(&self) -> u32 {
        u32::from(self.frame.is_some()).saturating_add(self.skipped)
    }
}

/// Cuts a feed's packets, in their order, into frames.
#[derive(Debug)]
pub struct Assembler {
    payload_type: u8,
    /// Sequence number that the next packet should have.
    expected: Option<u16>,
    /// No frame is passed on before the first key frame.
    begun: bool,
    /// The rest of the frame with this timestamp is skipped.
    skipping: Option<RtpTimestamp>,
    packets: Packets,
    timestamp: RtpTimestamp,
    key: bool,
}

impl Assembler {
    /// For a feed that announced `payload_type`.
    pub fn new(payload_type: u8) -> Self {
        Self {
            payload_type,
            expected: None,
            begun: false,
            skipping: None,
            packets: Packets::default(),
            timestamp: RtpTimestamp(0),
            key: false,
        }
    }

    /// Takes the feed's next packet, of which a copy is kept: what it lies in may be far larger.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        let packet = Packet::new(bytes)?;
        if packet.payload_type() != self.payload_type {
            return Err(Refusal::PayloadType {
                found: packet.payload_type(),
                announced: self.payload_type,
            });
        }
        check_payload(packet.payload())?;
        let mut step = Step::default();
        self.close_on_new_timestamp(packet, &mut step);
        let opens = self.packets.ends.is_empty() && self.skipping != Some(packet.timestamp());
        let gap = self.account(packet, &mut step);
        if gap && (!opens || !begins_frame(packet.payload())) {
            self.abandon(packet.timestamp(), &mut step);
        }
        if self.skipping.is_some() {
            if packet.marker() {
                self.skipping = None;
            }
            return Ok(step);
        }
        let (marker, timestamp) = (packet.marker(), packet.timestamp());
        self.key |= h264::starts_key_frame(packet.payload()) || begins_parameters(packet.payload());
        self.timestamp = timestamp;
        if self.packets.bytes.len() + bytes.len() > MAX_FRAME_BYTES
            || self.packets.ends.len() >= MAX_FRAME_PACKETS
        {
            return Err(Refusal::FrameTooLong);
        }
        self.packets.add(bytes);
        if marker {
            self.close(&mut step);
        }
        Ok(step)
    }

    /// A sender that sets no marker still changes the timestamp.
    fn close_on_new_timestamp(&mut self, packet: Packet<'_>, step: &mut Step) {
        if self
            .skipping
            .is_some_and(|skipped| skipped != packet.timestamp())
        {
            self.skipping = None;
        }
        if !self.packets.ends.is_empty() && self.timestamp != packet.timestamp() {
            if self.expected == Some(packet.sequence()) {
                self.close(step);
            } else {
                // The frame's last packets, or the next one's first, are missing.
                self.forget();
                step.skipped += 1;
            }
        }
    }

    /// Follows the sequence numbers; whether packets are missing before this one.
    fn account(&mut self, packet: Packet<'_>, step: &mut Step) -> bool {
        let expected = self.expected.replace(packet.sequence().wrapping_add(1));
        step.missing = expected.map_or(0, |expected| packet.sequence().wrapping_sub(expected));
        step.missing != 0
    }

    fn abandon(&mut self, timestamp: RtpTimestamp, step: &mut Step) {
        if self.skipping.is_none() {
            step.skipped += 1;
        }
        self.forget();
        self.skipping = Some(timestamp);
    }

    fn close(&mut self, step: &mut Step) {
        let (timestamp, key) = (self.timestamp, self.key);
        let packets = std::mem::take(&mut self.packets);
        self.forget();
        self.begun |= key;
        if self.begun {
            step.frame = Some(Frame {
                timestamp,
                key,
                packets,
            });
        } else {
            step.skipped += 1;
        }
    }

    fn forget(&mut self) {
        self.packets.clear();
        self.key = false;
    }
}

/// Single units, STAP-A and FU-A are what RFC 6184 packetization modes 0 and 1 allow.
fn check_payload(payload: &[u8]) -> Result<(), Refusal> {
    match payload.first().map(|byte| byte & 0x1f) {
        None | Some(1..=24 | 28) => Ok(()),
        Some(kind) => Err(Refusal::Nal(kind)),
    }
}

/// Whether a decoder is given its parameter sets here: a stream of periodic intra refresh has no other entry point.
fn begins_parameters(payload: &[u8]) -> bool {
    h264::nals(payload).any(|nal| nal.kind == h264::NAL_SPS)
}

/// Whether a frame can begin with this payload, as far as its first unit tells: not in the middle of a fragmented unit,
/// and not with a slice other than the picture's first.
fn begins_frame(payload: &[u8]) -> bool {
    const FU_A: u8 = 28;
    let (header, slice) = match payload {
        [indicator, header, slice, ..] if indicator & 0x1f == FU_A => {
            if header & 0x80 == 0 {
                return false;
            }
            (*header, *slice)
        }
        [header, slice, ..] => (*header, *slice),
        _ => return false,
    };
    // first_mb_in_slice is an Exp-Golomb code: 0 is the single bit 1 (H.264 section 7.3.3).
    !matches!(header & 0x1f, 1 | 5) || slice & 0x80 != 0
}

#[cfg(test)]
#[path = "assembler_tests.rs"]
mod tests;
