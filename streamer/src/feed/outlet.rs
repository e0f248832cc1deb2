//! The ways by which a name's frames go to its viewers, as far as the feed knows them.

use std::sync::Arc;

use bytes::Bytes;
use timeline::RtpTimestamp;

use super::parameters::ParameterSets;

/// What viewers are told of a name's stream before its first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// SSRC of the name.
    pub ssrc: u32,
    /// The parameter sets in force, complete.
    pub sets: ParameterSets,
}

/// A whole frame with the numbers of its name. Clones share its packets.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The timestamp that all its packets carry.
    pub timestamp: RtpTimestamp,
    /// Whether a decoder can begin here.
    pub key: bool,
    /// The RTP packets of the frame.
    pub packets: Arc<[Bytes]>,
    pub stream: Arc<Stream>,
}

/// Takes the frames of one name to viewers: one implementor for each protocol that they speak.
///
/// It is kept by whoever attaches it, and gets frames for as long ([`Feed::attach`](super::Feed::attach)). When a viewer
/// needs a key frame, it calls [`Feed::wish_keyframe`](super::Feed::wish_keyframe).
pub trait Outlet: Send + Sync {
    /// Sends `frame`, on the thread that read it from its feed: an outlet that would have to wait lets it go instead.
    fn push(&self, frame: &Numbered);
}
