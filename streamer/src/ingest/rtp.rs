//! A feed of RTP packets in RFC 4571 framing: from the socket to the viewers on one thread.

use std::time::Instant;

use media::framing::Deframer;

use super::body::Pieces;
use super::rate::Allowance;
use super::refusal::Refusal;
use crate::feed::Claim;
use crate::feed::assembler::{self, Assembler, MAX_PACKET_BYTES};

/// What a feed has sent.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Sent {
    pub packets: u64,
}

/// Packets after which others get their turn: one piece of a body may hold tens of thousands.
const TURN: u64 = 256;

/// Takes the packets of `pieces` until the body ends. The name is claimed, by `claim`, with the first frame.
pub async fn take(
    pieces: &mut Pieces,
    payload_type: u8,
    claim: impl Fn() -> Result<Claim, Refusal>,
) -> Result<Sent, Refusal> {
    let mut deframer = Deframer::new(MAX_PACKET_BYTES);
    let mut assembler = Assembler::new(payload_type);
    let (mut sent, mut allowance) = (Sent::default(), Allowance::default());
    let mut claimed: Option<Claim> = None;
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
            if claimed.is_none() && (step.frame.is_some() || step.skipped > 0) {
                let claim = claimed.insert(claim()?);
                pieces.end_with(claim.ended());
            }
            let frames = step.frames();
            if let Some(claim) = &mut claimed {
                claim.take(step, ingested);
            }
            let wait = allowance.spend(frames, Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            if sent.packets.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        // What carries no packet keeps no name, and no connection.
        if sent.packets == before {
            continue;
        }
        pieces.held_packets();
        if let Some(claim) = &claimed {
            let heard = claim.heard(sent.packets - before, bytes, now);
            heard.map_err(|superseded| {
                Refusal::Superseded(claim.feed().name().clone(), superseded)
            })?;
        }
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use axum::body::Body;
    use futures::StreamExt as _;
    use service::Shutdown;

    use super::*;
    use crate::feed::name::FeedName;

    #[tokio::test(start_paused = true)]
    async fn packets_of_no_bytes_hold_no_connection() {
        let empty = futures::stream::repeat(()).then(async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Infallible>(vec![0_u8; 2048])
        });
        let name = FeedName::new("room").unwrap();
        let body = Body::from_stream(empty);
        let mut pieces = Pieces::new(body, name, Shutdown::new());
        let taken = take(&mut pieces, 96, || Err(Refusal::Stopping)).await;
        assert!(matches!(taken, Err(Refusal::Silent(10))), "{taken:?}");
    }
}
