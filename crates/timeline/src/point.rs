//! The places a frame passes, and the stages between them.

use serde::{Deserialize, Serialize};

/// A named place on a frame's way. The instant that counts is that of the frame's marker packet, or of the whole frame
/// where it is not in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Renderer: the clock reading that the stamp carries, taken just before its pixels are written.
    Generated,
    /// Renderer: the marker packet leaves the payloader.
    Encoded,
    /// Streamer: the marker packet has been read whole from the feed's body.
    Ingested,
    /// Streamer: the marker packet is handed to the viewers' transports.
    Relayed,
    /// Client: the marker packet leaves the transport, on its way to the depayloader.
    Received,
    /// Client: the decoder delivers the picture. This is the consumption time, where latency ends.
    Decoded,
}

impl Point {
    /// Every point, in the order in which a frame passes them.
    pub const ALL: [Self; 6] = [
        Self::Generated,
        Self::Encoded,
        Self::Ingested,
        Self::Relayed,
        Self::Received,
        Self::Decoded,
    ];

    /// Whether a client sees it, so that every client has a time of its own for it.
    pub const fn is_of_a_client(self) -> bool {
        matches!(self, Self::Received | Self::Decoded)
    }

    /// The word that files, metrics and the trace use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Encoded => "encoded",
            Self::Ingested => "ingested",
            Self::Relayed => "relayed",
            Self::Received => "received",
            Self::Decoded => "decoded",
        }
    }
}

/// What happens between two neighbouring points. The stages of a frame sum to its latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Generated to encoded: draw the stamp, encode, cut into packets.
    Encode,
    /// Encoded to ingested: the feed, over HTTP.
    Feed,
    /// Ingested to relayed: through the streamer.
    Relay,
    /// Relayed to received: from the streamer to the client, over RTP.
    Deliver,
    /// Received to decoded: reassemble and decode.
    Decode,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 5] = [
        Self::Encode,
        Self::Feed,
        Self::Relay,
        Self::Deliver,
        Self::Decode,
    ];

    /// The points where the stage begins and ends.
    pub const fn ends(self) -> (Point, Point) {
        match self {
            Self::Encode => (Point::Generated, Point::Encoded),
            Self::Feed => (Point::Encoded, Point::Ingested),
            Self::Relay => (Point::Ingested, Point::Relayed),
            Self::Deliver => (Point::Relayed, Point::Received),
            Self::Decode => (Point::Received, Point::Decoded),
        }
    }

    /// Whether the stage is the codec's work, which the floor has too.
    pub const fn is_codec(self) -> bool {
        matches!(self, Self::Encode | Self::Decode)
    }

    /// The word that files and tables use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Feed => "feed",
            Self::Relay => "relay",
            Self::Deliver => "deliver",
            Self::Decode => "decode",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_tile_the_journey() {
        let mut at = Point::Generated;
        for stage in Stage::ALL {
            let (from, to) = stage.ends();
            assert_eq!(from, at);
            at = to;
        }
        assert_eq!(at, Point::Decoded);
    }
}
