//! A row of `host.csv`.

use serde::{Deserialize, Serialize};
use timeline::UnixMicros;

use super::hundredths;

/// The machine in one second. Shares are of all processors together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    /// The second's beginning, microseconds since the Unix epoch.
    pub from_us: UnixMicros,
    /// The end of the second.
    pub to_us: UnixMicros,
    /// Processor time that the hypervisor took, in percent.
    #[serde(default, serialize_with = "hundredths")]
    pub steal_percent: f64,
    /// Processor time that programs used, ours among them.
    #[serde(default, serialize_with = "hundredths")]
    pub programs_percent: f64,
    /// Processor time that programs used which are not of the repetition.
    #[serde(default, serialize_with = "hundredths")]
    pub foreign_percent: f64,
    /// The load average over one minute.
    #[serde(default, serialize_with = "hundredths")]
    pub load1: f64,
    /// By how much the timer was late at worst, in microseconds.
    #[serde(default)]
    pub late_us: u64,
    /// Whether the timer has real-time priority, so that its lateness counts.
    #[serde(default)]
    pub late_counts: bool,
    /// How far the wall clock moved against the monotonic one, in microseconds.
    #[serde(default)]
    pub clock_step_us: i64,
    /// How fast the wall clock and the monotonic one were slewed against the processor's own, in parts in a million.
    #[serde(default, serialize_with = "hundredths")]
    pub clock_slew_ppm: f64,
    /// When the pass began that read this second's figures, which is at its end; absent in results of earlier versions.
    #[serde(default)]
    pub pass_from_us: Option<UnixMicros>,
    /// When that pass had read every process. Frames that were on their way meanwhile shared the processors with it.
    #[serde(default)]
    pub pass_to_us: Option<UnixMicros>,
    /// Whether the second counts as disturbed.
    pub disturbed: bool,
    /// The rule that says so; empty for none.
    #[serde(default)]
    pub why: String,
}
