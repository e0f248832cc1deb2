//! Times as certificates and logs take them.

use std::time::{Duration, SystemTime};

/// The time by the clock that every program reads.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(service::clock::now().0)
}

/// A time in nanoseconds, for whoever measures.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A time in whole microseconds, for a log.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
