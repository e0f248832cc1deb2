//! A row of `events.csv`.

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

/// Something that happened in a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// When, microseconds since the Unix epoch.
    pub time_us: UnixMicros,
    /// The kind of event: `started`, `ready`, `signalled`, `exited`, `disturbed`, `clock step`, and others.
    pub event: String,
    /// The role that it happened to.
    pub who: String,
    /// Further words for people.
    pub detail: String,
}

impl EventRow {
    /// The event of a run that waited in vain for its last frames; the detail says how long.
    pub const GAVE_UP: &str = "gave up";
}
