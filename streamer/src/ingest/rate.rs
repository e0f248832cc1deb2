//! How many frames a feed may bring in a second, so that no feed takes the processor from the others. Pure: time is an argument.

use std::time::{Duration, Instant};

/// Frames that a feed may bring each second: several times what any display shows.
pub const FRAMES_PER_SECOND: u32 = 1000;

/// Frames that a feed may bring at once, as one that caught up with a lost connection does.
const BURST: u32 = 500;

/// The time of one frame.
const INTERVAL: Duration = Duration::from_nanos(1_000_000_000 / FRAMES_PER_SECOND as u64);

/// A feed's allowance of frames, by the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Default)]
pub struct Allowance {
    /// The theoretical arrival time of the next frame.
    due: Option<Instant>,
}

impl Allowance {
    /// Notes that `frames` came at `now`; the time that the feed must wait before more is read of it.
    pub fn spend(&mut self, frames: u32, now: Instant) -> Duration {
        let due = self.due.map_or(now, |due| due.max(now)) + INTERVAL * frames;
        self.due = Some(due);
        due.saturating_duration_since(now)
            .saturating_sub(INTERVAL * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_frame_rates_never_wait() {
        let (start, mut allowance) = (Instant::now(), Allowance::default());
        for frame in 0..10_000_u32 {
            let now = start + Duration::from_secs(1) * frame / 240;
            assert_eq!(allowance.spend(1, now), Duration::ZERO, "frame {frame}");
        }
    }

    #[test]
    fn a_flood_is_slowed_to_the_rate() {
        let (start, mut allowance) = (Instant::now(), Allowance::default());
        let mut now = start;
        for _ in 0..10_000 {
            now += allowance.spend(7, now);
        }
        let rate = 70_000.0 / (now - start).as_secs_f64();
        assert!((990.0..1010.0).contains(&rate), "{rate} frames a second");
    }

    #[test]
    fn silence_saves_no_more_than_a_burst() {
        let (start, mut allowance) = (Instant::now(), Allowance::default());
        allowance.spend(1, start);
        let later = start + Duration::from_hours(1);
        assert_eq!(allowance.spend(BURST, later), Duration::ZERO);
        assert_eq!(allowance.spend(1, later), INTERVAL);
    }
}
