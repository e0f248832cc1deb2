//! The clocks that a repetition's times were read from.

use serde::{Deserialize, Serialize};

/// The clock that a source's times were read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClockMeta {
    /// How far that clock is known.
    pub source: ClockSource,
    /// The service's clock minus the collector's, in microseconds, as last subtracted.
    pub offset_us: i64,
    /// The growth of that offset in parts in a billion (nanoseconds a second), as last subtracted; 0 where there may be none.
    #[serde(default)]
    pub drift_ppb: i64,
    /// The largest uncertainty that an offset had which was taken off, in microseconds; absent where nobody knows.
    pub uncertainty_us: Option<u64>,
}

impl ClockMeta {
    /// The collector's own clock.
    pub const SHARED: Self = Self {
        source: ClockSource::Shared,
        offset_us: 0,
        drift_ppb: 0,
        uncertainty_us: Some(0),
    };
}

/// Two clocks may be apart by so much, microseconds, before a repetition is marked.
const MAX_OFF_US: u64 = 1_000;

/// Clocks that are slewed faster than this, in parts in a million, mark the second: no discipline does that for long, and a latency of
/// 100 ms is wrong by 50 us.
pub const MAX_SLEW_PPM: f64 = 500.0;

/// A service's clock that was compared with xrbench's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClockCheck {
    /// The role of the service.
    pub source: String,
    /// When it was asked: `at the start`, `at the end`.
    pub when: String,
    /// The service's clock minus xrbench's, microseconds.
    pub offset_us: i64,
    /// Half the round trip.
    pub uncertainty_us: u64,
}

impl ClockCheck {
    /// How far the two certainly are from being one clock, with its sign, microseconds; 0 within a millisecond.
    pub fn off_us(&self) -> i64 {
        let certain = self
            .offset_us
            .unsigned_abs()
            .saturating_sub(self.uncertainty_us);
        if certain > MAX_OFF_US {
            certain.cast_signed() * self.offset_us.signum()
        } else {
            0
        }
    }
}

/// How far a clock is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// The collector's own clock: the source is on the same host.
    Shared,
    /// Asked, by an exchange of four timestamps.
    Asked,
    /// Asked by nobody: its times are as they came.
    Unknown,
}
