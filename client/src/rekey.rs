//! Which frame a picture is of, when its packets and its stamp say different things: pure.
//!
//! A relay that passes RTP timestamps on leaves them equal, and a single difference means that a lost picture was
//! concealed by an earlier one, stamp included. A server that pays by itself makes all of them differ; then only stamps
//! name frames, and what is known of the packets is still of the picture that they became.

use timeline::RtpTimestamp;

/// Frames in a row whose stamp and packets differ, from which on the server is taken to rewrite timestamps.
const REWRITTEN: u32 = 8;

/// Tells a server that rewrites RTP timestamps from a picture that was concealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rekey {
    in_a_row: u32,
}

impl Rekey {
    /// The key of a shown frame: its packets' timestamp, or its stamp's where the server rewrites timestamps. `fresh` says
    /// that no frame with this stamp has been shown before: a concealed picture has.
    pub fn key(&mut self, packets: RtpTimestamp, stamp: RtpTimestamp, fresh: bool) -> RtpTimestamp {
        if packets == stamp {
            self.in_a_row = 0;
            return packets;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if fresh && self.in_a_row >= REWRITTEN {
            stamp
        } else {
            packets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: u32 = 1_500;

    #[test]
    fn a_concealed_picture_keeps_the_key_of_its_packets() {
        let mut rekey = Rekey::default();
        for frame in 1..100_u32 {
            let packets = RtpTimestamp(frame * PERIOD);
            let concealed = frame % 10 == 0;
            let stamp = RtpTimestamp(packets.0 - u32::from(concealed) * PERIOD);
            assert_eq!(rekey.key(packets, stamp, !concealed), packets);
        }
    }

    #[test]
    fn behind_a_server_that_rewrites_the_stamp_names_the_frame() {
        let mut rekey = Rekey::default();
        for frame in 1..100_u32 {
            let stamp = RtpTimestamp(frame * PERIOD);
            // Its own offset, and its own clock.
            let packets = RtpTimestamp(stamp.0.wrapping_add(3_000_000_000 + frame % 7));
            let key = rekey.key(packets, stamp, true);
            assert_eq!(key, if frame < REWRITTEN { packets } else { stamp });
        }
        let (packets, stamp) = (RtpTimestamp(5), RtpTimestamp(99 * PERIOD));
        assert_eq!(rekey.key(packets, stamp, false), packets, "concealed");
        assert_eq!(rekey.key(stamp, stamp, true), stamp);
        assert_eq!(
            rekey.key(packets, stamp, true),
            packets,
            "the server passes them on again"
        );
    }
}
