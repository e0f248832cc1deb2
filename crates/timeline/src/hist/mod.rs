//! The distribution of latencies: an HdrHistogram of microseconds, and `latency.hlog`, the interval log in which it is
//! kept. Percentiles come from merged histograms, never from averaged percentiles.

mod histogram;
mod log;

pub use histogram::{Figures, LatencyHistogram, MAX_US, TooMany};
pub use log::{Interval, Intervals, LogError, LogWriter};

#[cfg(test)]
mod tests;
