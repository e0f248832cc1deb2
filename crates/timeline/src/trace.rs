//! What a service saw pass, as it serves it at `/trace` on its ops port.

use serde::{Deserialize, Serialize};

use crate::{Point, RtpTimestamp, UnixMicros};

/// One frame passed one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// The frame, by its RTP timestamp.
    pub rtp_timestamp: RtpTimestamp,
    /// The point that the frame passed.
    pub point: Point,
    /// When, on the clock of the service's host.
    pub at: UnixMicros,
}

/// One answer of `/trace?after=N`: the crossings that follow cursor `N`, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePage {
    /// Drawn at the service's start: a reader who sees another one starts again from cursor 0.
    pub boot: u64,
    /// The cursor to ask with next time.
    pub next: u64,
    /// Crossings after `N` that the bounded ring had already overwritten. They are gone.
    pub overwritten: u64,
    /// The crossings of the page, the oldest first.
    pub crossings: Vec<Crossing>,
}
