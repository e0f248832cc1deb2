//! The wall clock. Every time that xrbench stamps, records or serves is read here.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::{Duration, Instant, UNIX_EPOCH};

use jiff::SignedDuration;
use timeline::UnixMicros;

/// How wrong this process's clock is made, for tests of whoever puts it right.
static SKEW: OnceLock<(Skew, UnixMicros)> = OnceLock::new();

/// How long this process waits at each stamp, for a calibration.
static HOLD: OnceLock<Duration> = OnceLock::new();

/// The time on this host's `CLOCK_REALTIME`, in microseconds since the Unix epoch; made wrong if [`set_skew`] was called.
///
/// It costs some tens of nanoseconds and never blocks. A clock set before 1970 reads as 0.
pub fn now() -> UnixMicros {
    let right = realtime();
    SKEW.get()
        .map_or(right, |(skew, since)| skew.of(right, *since))
}

/// The time as [`now`], and after it the busy-wait that [`set_hold`] asks for: of a generation stamp, so that the wait is in the latency.
pub fn now_then_hold() -> UnixMicros {
    let at = now();
    hold();
    at
}

/// The time as [`now`], and before it the busy-wait that [`set_hold`] asks for: of a consumption stamp, so that the wait is in the latency.
pub fn hold_then_now() -> UnixMicros {
    hold();
    now()
}

/// Makes every stamp of this process wait, until its end; the first call counts.
pub fn set_hold(hold: Duration) {
    if !hold.is_zero() {
        tracing::warn!("every stamp waits for {hold:?}, as --hold-us (XR_HOLD_US) asks");
    }
    let _ = HOLD.set(hold);
}

/// A wait that keeps the processor, by a clock that nobody sets: a sleep would be as long as the kernel likes.
fn hold() {
    if let Some(hold) = HOLD.get() {
        let began = Instant::now();
        while began.elapsed() < *hold {
            std::hint::spin_loop();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the wall clock"
)]
fn realtime() -> UnixMicros {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Makes this process's clock wrong from this moment until its end; the first call counts.
pub fn set_skew(skew: Skew) {
    let _ = SKEW.set((skew, realtime()));
}

/// An error of a clock: an offset, and a drift that adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    offset_us: i64,
    drift_ppm: i32,
}

impl Skew {
    /// What a clock with this error reads at the time `right`, if it began to drift at `since`.
    fn of(self, right: UnixMicros, since: UnixMicros) -> UnixMicros {
        let gone = i128::from(right.0) - i128::from(since.0);
        let gained = (gone * i128::from(self.drift_ppm)).div_euclid(1_000_000);
        let read = i128::from(right.0) + i128::from(self.offset_us) + gained;
        UnixMicros(u64::try_from(read.max(0)).unwrap_or(u64::MAX))
    }
}

/// A text that is no [`Skew`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an offset and a drift, such as 5s,100ppm, -20ms,-30ppm or 5s; the offset at most a day, the drift at most 100000ppm"
)]
pub struct NoSkew;

impl FromStr for Skew {
    type Err = NoSkew;

    fn from_str(text: &str) -> Result<Self, NoSkew> {
        let (offset, drift) = text.split_once(',').unwrap_or((text, "0ppm"));
        let offset: SignedDuration = offset.parse().map_err(|_| NoSkew)?;
        let drift_ppm: i32 = drift
            .strip_suffix("ppm")
            .and_then(|ppm| ppm.parse().ok())
            .ok_or(NoSkew)?;
        if offset.abs() > SignedDuration::from_hours(24) || drift_ppm.unsigned_abs() > 100_000 {
            return Err(NoSkew);
        }
        Ok(Self {
            offset_us: i64::try_from(offset.as_micros()).map_err(|_| NoSkew)?,
            drift_ppm,
        })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} us and {} ppm", self.offset_us, self.drift_ppm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_an_offset_and_what_has_been_gained_since() {
        let since = UnixMicros(1_000_000_000);
        let later = UnixMicros(since.0 + 10_000_000);
        for (text, wrong_us) in [
            ("5s,100ppm", 5_001_000),
            ("-20ms,-30ppm", -20_300),
            ("5s", 5_000_000),
            ("0s,100000ppm", 1_000_000),
        ] {
            let skew: Skew = text.parse().expect(text);
            assert_eq!(
                skew.of(later, since).micros_since(later),
                wrong_us,
                "{text}"
            );
        }
        let back: Skew = "-24h".parse().expect("a day");
        assert_eq!(back.of(since, since), UnixMicros(0), "no time before 1970");
    }

    #[test]
    fn what_is_no_skew_teaches() {
        for wrong in [
            "",
            "5",
            "5s,",
            "5s,100",
            "5s,x ppm",
            "25h",
            "5s,100001ppm",
            "--5s",
            "5s,1ppm,2ppm",
        ] {
            assert_eq!(wrong.parse::<Skew>(), Err(NoSkew), "{wrong}");
        }
        assert!(NoSkew.to_string().contains("5s,100ppm"));
    }

    #[test]
    fn a_hold_lies_on_the_frames_side_of_each_stamp() {
        set_hold(Duration::from_millis(3));
        let (before, generated) = (now(), now_then_hold());
        let after = now();
        assert!(
            generated.micros_since(before) < 3_000,
            "the clock is read first"
        );
        assert!(after.micros_since(generated) >= 3_000, "and then it waits");
        assert!(hold_then_now().micros_since(after) >= 3_000);
    }
}
