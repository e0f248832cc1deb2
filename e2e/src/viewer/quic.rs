//! A viewer over QUIC. QUIC and the framing are those of our own crate, whose bytes tests of its own hold against the draft.

use std::net::SocketAddr;
use std::sync::Arc;

use roq::connect::{self, Target};
use roq::counters::Received;
use roq::framing::FlowId;
use roq::receive::{Flows, Packet, receive};
use roq::signal::Mode;
use roq::trust::Trust;
use tokio::time::Instant;

use super::session::Viewer;
use super::shared::Shared;

/// Begins to play a feed by datagrams, from a server that is known by its certificate. What went wrong is a sentence.
pub(crate) async fn play(at: SocketAddr, feed: &str, trust: &Trust) -> Result<Viewer, String> {
    let target = Target {
        host: at.ip().to_string(),
        port: at.port(),
        name: feed.to_owned(),
        by: Mode::Datagram,
    };
    let played_at = Instant::now();
    let stream = connect::play(&target, trust, false)
        .await
        .map_err(|error| error.to_string())?;
    let flow = |number: u64| FlowId::new(number).ok_or("a flow that cannot be");
    let flows = Flows {
        rtp: Some(flow(stream.playing().rtp_flow)?),
        rtcp: flow(stream.playing().rtcp_flow)?,
    };
    let shared = Arc::<Shared>::default();
    let counted = Arc::clone(&shared);
    let task = tokio::spawn(async move {
        let counters = Received::default();
        let ended = receive(stream.connection(), flows, &counters, |packet| {
            if let Packet::Rtp(packet) = packet {
                counted.packet(&packet);
            }
        });
        ended.await;
    });
    Ok(Viewer::new(shared, played_at, vec![task]))
}
