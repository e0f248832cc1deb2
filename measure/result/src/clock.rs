//! The clocks that a repetition's times were read from.

use serde::{Deserialize, Serialize};

/// The clock that a source's times were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockMeta {
    /// How far that clock is known.
    pub source: ClockSource,
    /// The service's clock minus the collector's, in microseconds, as last subtracted.
    pub offset_us: i64,
    /// The largest uncertainty that an offset had which was taken off, in microseconds; absent where nobody knows.
    pub uncertainty_us: Option<u64>,
}

impl ClockMeta {
    /// The collector's own clock.
    pub const SHARED: Self = Self {
        source: ClockSource::Shared,
        offset_us: 0,
        uncertainty_us: Some(0),
    };
}

/// How far a clock is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// The collector's own clock: the source is on the same host.
    Shared,
    /// Asked, by an exchange of four timestamps.
    Asked,
    /// Asked by nobody: its times are as they came.
    Unknown,
}
