//! The bounds of viewers, as the command line has them.

use std::time::Duration;

/// The bounds of viewers.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Sessions at a time.
    pub sessions: u32,
    /// Sessions at a time of one peer's viewers.
    pub sessions_per_peer: u32,
    /// A session that sends neither RTSP nor RTCP for so long is over.
    pub session_timeout: Duration,
    /// A viewer on TCP that is behind for so long is dropped.
    pub slow: Duration,
}
