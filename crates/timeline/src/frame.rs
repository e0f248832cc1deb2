//! What the client says of each picture that it showed.

use serde::{Deserialize, Serialize};

use crate::{FrameNumber, RtpTimestamp, UnixMicros};

/// What was read from the generation stamp of a shown picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reading", rename_all = "snake_case")]
pub enum Reading {
    /// The blocks were read and their check held.
    Read {
        /// Position in the renderer's schedule.
        frame: FrameNumber,
        /// The generation time of the frame.
        generated: UnixMicros,
    },
    /// The blocks could not be read, or their check failed: never a sample.
    Unread,
    /// Packets of the picture never came: it is torn, whatever its stamp says, and never a sample.
    Damaged,
}

/// One picture, shown by the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameReport {
    /// Counts the pictures of this client process, from 0: a reader drops what it has already seen.
    pub sequence: u64,
    /// The RTP timestamp of the packets that the picture came from.
    pub rtp_timestamp: RtpTimestamp,
    /// What the stamp said.
    #[serde(flatten)]
    pub reading: Reading,
    /// When the marker packet arrived; absent when the packet could not be matched to the picture.
    pub received: Option<UnixMicros>,
    /// The consumption time: read first thing when the decoder delivered the picture.
    pub decoded: UnixMicros,
    /// When the picture was handed to the sink, after stamping. The wait for a display's refresh begins here.
    pub shown: UnixMicros,
}
