//! The wall clock. Every time that xrbench stamps, records or serves is read here.

use std::time::UNIX_EPOCH;

use timeline::UnixMicros;

/// The time on this host's `CLOCK_REALTIME`, in microseconds since the Unix epoch.
///
/// It costs some tens of nanoseconds and never blocks. A clock set before 1970 reads as 0.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
pub fn now() -> UnixMicros {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
