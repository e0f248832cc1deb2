//! What is counted of viewers and feeds over QUIC.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use roq::counters::{Arrivals, Received, Sent};

/// The counters of all connections together.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    pub arrivals: Arrivals,
    pub sent: Sent,
    pub received: Received,
    /// Of feeds.
    pub fed: Received,
    /// Packets of feeds that came after they had been given up.
    pub late: Counter,
}

impl Counters {
    /// All of them, in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("xr_streamer_quic");
        let received = Received::default();
        // What is of no use is counted together, whoever sent it.
        let fed = Received {
            packets: Counter::default(),
            cancelled: Counter::default(),
            ..received.clone()
        };
        let all = Self {
            received,
            fed,
            ..Self::default()
        };
        let (arrivals, sent, received) = (&all.arrivals, &all.sent, &all.received);
        let counters: [(&str, &str, &Counter); 14] = [
            (
                "addresses_to_prove",
                "Peers asked to prove their address, because many handshakes were under way",
                &arrivals.retried,
            ),
            (
                "refused_full",
                "Connections refused because there were as many as may be",
                &arrivals.full,
            ),
            (
                "refused_peer_full",
                "Connections refused because their address had as many as it may have",
                &arrivals.peer_full,
            ),
            (
                "handshakes_failed",
                "Handshakes that failed or took too long",
                &arrivals.failed,
            ),
            ("sent_frames", "Frames sent to viewers", &sent.frames),
            (
                "dropped_frames",
                "Frames not sent to a viewer, because they were stale or built on one that was",
                &sent.dropped,
            ),
            (
                "oversized_frames",
                "Frames sent on a stream, because a packet of theirs fits no datagram",
                &sent.oversized,
            ),
            (
                "cancelled_frames",
                "Frames cancelled on their stream, because they were stale",
                &sent.cancelled,
            ),
            (
                "reports",
                "RTCP packets that viewers sent",
                &received.packets,
            ),
            (
                "fed_packets",
                "RTP packets of feeds that came over QUIC",
                &all.fed.packets,
            ),
            (
                "fed_late_packets",
                "RTP packets of feeds that came after they had been given up",
                &all.late,
            ),
            (
                "fed_cancelled_frames",
                "Frames of feeds that their renderer cancelled on their stream",
                &all.fed.cancelled,
            ),
            (
                "unknown_flows",
                "Datagrams and streams of a flow that nobody knows",
                &received.unknown_flows,
            ),
            (
                "malformed",
                "Datagrams and streams that are no RTP over QUIC",
                &received.malformed,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        all
    }
}
