//! A feed of RTP packets in RFC 4571 framing: from the socket to the viewers on one thread.

use std::time::Instant;

use media::framing::Deframer;

use super::body::Pieces;
use super::refusal::Refusal;
use crate::feed::Claim;
use crate::feed::assembler::{self, Assembler, MAX_PACKET_BYTES};

/// What a feed has sent.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Sent {
    pub packets: u64,
}

/// Takes the packets of `pieces` until the body ends.
pub async fn take(
    pieces: &mut Pieces,
    claim: &mut Claim,
    payload_type: u8,
) -> Result<Sent, Refusal> {
    let mut deframer = Deframer::new(MAX_PACKET_BYTES);
    let mut assembler = Assembler::new(payload_type);
    let mut sent = Sent::default();
    while let Some(piece) = pieces.next().await? {
        let (now, before, mut bytes) = (Instant::now(), sent.packets, 0);
        deframer.push(&piece);
        while let Some(packet) = deframer.next_packet().map_err(Refusal::TooLong)? {
            bytes += packet.len();
            let ingested = service::clock::now();
            let step = assembler
                .push(&packet)
                .map_err(|error| refusal(error, sent.packets))?;
            sent.packets += 1;
            claim.take(step, ingested);
        }
        let heard = claim.heard(sent.packets - before, bytes, now);
        heard.map_err(|superseded| Refusal::Superseded(claim.feed().name().clone(), superseded))?;
    }
    match deframer.pending_bytes() {
        0 => Ok(sent),
        have => Err(Refusal::Cut {
            packets: sent.packets,
            have,
        }),
    }
}

/// How the feed is told what is wrong with a packet that follows `packets` good ones.
pub(super) fn refusal(error: assembler::Refusal, packets: u64) -> Refusal {
    match error {
        assembler::Refusal::FrameTooLong => Refusal::FrameTooLong(error),
        _ => Refusal::Garbage {
            packets,
            why: error.to_string(),
        },
    }
}
