//! What is counted of connections, packets and frames. Clones count together.

use prometheus_client::metrics::counter::Counter;

/// What a listener counts.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// Peers that were asked to prove their address first, because many handshakes were under way.
    pub retried: Counter,
    /// Connections refused because there were as many as may be.
    pub full: Counter,
    /// Connections refused because their address had as many as it may have.
    pub peer_full: Counter,
    /// Handshakes that failed or were not completed in time.
    pub failed: Counter,
}

/// What a sender counts.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Frames that went to a viewer.
    pub frames: Counter,
    /// Frames that a viewer did not get, because they would have come too late or built on such a one.
    pub dropped: Counter,
    /// Frames that went on a stream, because a packet of theirs fits no datagram of the path.
    pub oversized: Counter,
    /// Frames cancelled on their stream, because they were too late.
    pub cancelled: Counter,
}

/// What a receiver counts.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Packets of a known flow.
    pub packets: Counter,
    /// Datagrams and streams of a flow that nobody knows.
    pub unknown_flows: Counter,
    /// Datagrams and streams that are not what they should be.
    pub malformed: Counter,
    /// Streams that the sender cancelled.
    pub cancelled: Counter,
}
