//! A feed of RTP packets in RFC 4571 framing: from the socket to the viewers on one thread.

use std::time::Instant;

use media::framing::Deframer;

use super::body::Pieces;
use super::intake::{Intake, Sent};
use super::refusal::Refusal;
use crate::feed::Claim;
use crate::feed::assembler::MAX_PACKET_BYTES;

/// Packets after which others get their turn: one piece of a body may hold tens of thousands.
const TURN: u64 = 256;

/// Takes the packets of `pieces` until the body ends. The name is claimed, by `claim`, with the first frame.
pub async fn take(
    pieces: &mut Pieces,
    payload_type: u8,
    claim: impl Fn() -> Result<Claim, Refusal>,
) -> Result<Sent, Refusal> {
    let mut deframer = Deframer::new(MAX_PACKET_BYTES);
    let mut intake = Intake::new(payload_type, claim);
    while let Some(piece) = pieces.next().await? {
        let (now, mut packets, mut bytes) = (Instant::now(), 0, 0);
        deframer.push(&piece);
        while let Some(packet) = deframer.next_packet().map_err(Refusal::TooLong)? {
            let had_name = intake.claimed().is_some();
            let wait = intake.take(&packet, service::clock::now())?;
            if let Some(claim) = intake.claimed().filter(|_| !had_name) {
                pieces.end_with(claim.ended());
            }
            packets += 1;
            bytes += packet.len();
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            if intake.sent().packets.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
        // What carries no packet keeps no name, and no connection.
        if packets > 0 {
            pieces.held_packets();
            intake.heard(packets, bytes, now)?;
        }
    }
    match deframer.pending_bytes() {
        0 => Ok(intake.sent()),
        have => Err(Refusal::Cut {
            packets: intake.sent().packets,
            have,
        }),
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
