//! What a repetition's frames say, as counts and merged histograms. Pure: rows and times come in, figures go out.
//!
//! A frame belongs to the time at which it was generated. Repetitions are merged by adding counts and histograms, never
//! by averaging percentiles.

#![warn(missing_docs)]

mod bootstrap;
mod change;
pub mod datagrams;
mod display;
mod exact;
mod frames;
pub mod host;
pub mod judged;
mod measured;
pub mod nodes;
mod paired;
mod pool;
mod quantile;
mod schedule;
mod stages;
mod tick;
pub mod usage;
mod window;

pub use bootstrap::{Intervals, intervals};
pub use change::{Change, Outcome, Round, above_zero, outcomes};
pub use display::{Display, Freeze, Picture, XR_BOUND_US, freeze_us, long_gaps};
pub use exact::Exact;
pub use frames::{FromOcr, FromRows, UnreportedCounts};
pub use host::Disturbances;
pub use measured::{Content, Counts, Latency, MAX_FLOOR_GAP_US, Measured, Sample};
pub use paired::{
    Estimate, RESOLUTION_US, RepetitionFigures, cliffs_delta, gap, holm, one_sided_95, pairs,
};
pub use pool::{Pooled, RunEstimate, pool};
pub use quantile::{quantile, weighted_quantile};
pub use stages::Stages;
pub use usage::{ProcessSecond, Usage};
pub use window::Window;

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod film_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validity_tests;
