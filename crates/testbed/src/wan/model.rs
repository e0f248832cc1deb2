//! What each direction of a WAN does to a packet, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A wide-area network between two clusters. The default does nothing to a packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wan {
    /// The preset that it was made from, and may have been changed after; none for one that was written out.
    pub preset: Option<String>,
    /// From cluster A to cluster B.
    pub a_to_b: Direction,
    /// From cluster B to cluster A.
    pub b_to_a: Direction,
}

/// One direction of a WAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Direction {
    /// Added to each packet.
    #[serde(rename = "delay_ns", with = "nanos")]
    pub delay: Duration,
    /// How the delay varies.
    #[serde(rename = "jitter_ns", skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
    /// The loss of packets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Share of packets that overtake those before them, in percent: they are not delayed.
    pub reorder_percent: f64,
    /// The link's rate in bits a second, IP headers included; none for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<u64>,
    /// Bytes that may wait for the rate; what comes then is dropped.
    pub queue_bytes: u64,
}

/// How the delay varies around [`Direction::delay`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// Evenly, by at most so much either way.
    Uniform(#[serde(with = "nanos")] Duration),
    /// Normally, with this standard deviation.
    Normal(#[serde(with = "nanos")] Duration),
    /// As Pareto's distribution, with this scale: rare long delays.
    Pareto(#[serde(with = "nanos")] Duration),
}

/// Durations as whole nanoseconds, which lose nothing.
mod nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_nanos)
    }
}

/// A rule of which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Loss {
    /// Each with this probability, in percent.
    Random { percent: f64 },
    /// Bursts, as Gilbert's model has them: so many percent of all packets, in bursts of so many on average.
    Bursts { percent: f64, mean_length: f64 },
}

/// A direction that no link can be.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum NotPossible {
    /// A share that is none.
    #[error("{what} of {percent} % is not between 0 and 100 %")]
    Percent { what: &'static str, percent: f64 },
    /// Bursts that cannot be.
    #[error(
        "a loss of {percent} % in bursts of {mean_length} packets cannot be: a burst is 1 packet or longer, and the \
         packets between two bursts are at least 1"
    )]
    Bursts { percent: f64, mean_length: f64 },
    /// A rate of nothing.
    #[error("a rate of 0 bit/s carries nothing; leave it out for no limit")]
    NoRate,
    /// A rate without a queue that holds a packet.
    #[error(
        "a queue of {queue_bytes} bytes in front of the rate drops whole packets always; give 3000 bytes or more"
    )]
    Queue { queue_bytes: u64 },
    /// A delay that nobody means.
    #[error("a delay of {} s is more than {} s", .0.as_secs_f64(), MAX_DELAY.as_secs())]
    Delay(Duration),
}

/// The longest delay and the widest jitter: what is in flight is held in memory.
pub const MAX_DELAY: Duration = Duration::from_secs(10);

/// The smallest queue in front of a rate: two large packets, or nothing ever waits.
const MIN_QUEUE_BYTES: u64 = 3_000;

impl Wan {
    /// Whether it hands every packet on at once.
    pub fn does_nothing(&self) -> bool {
        self.a_to_b.does_nothing() && self.b_to_a.does_nothing()
    }
}

impl Direction {
    /// Whether it hands every packet on at once: overtaking needs a delay, and a queue a rate.
    pub fn does_nothing(&self) -> bool {
        self.delay.is_zero()
            && self.jitter.is_none()
            && self.loss.is_none()
            && self.rate_bps.is_none()
    }

    /// Whether a link can do this; every reader of scenarios and arguments asks.
    pub fn check(&self) -> Result<(), NotPossible> {
        let by = self.jitter.map_or(Duration::ZERO, Jitter::width);
        if let Some(long) = [self.delay, by].into_iter().find(|long| *long > MAX_DELAY) {
            return Err(NotPossible::Delay(long));
        }
        share("reordering", self.reorder_percent)?;
        match self.loss {
            None => {}
            Some(Loss::Random { percent }) => share("loss", percent)?,
            Some(Loss::Bursts {
                percent,
                mean_length,
            }) => {
                share("loss", percent)?;
                // Of `percent` lost and the rest not, bursts of this length leave gaps of at least one packet.
                let gap = mean_length * (100.0 - percent) / percent.max(f64::MIN_POSITIVE);
                if !mean_length.is_finite() || mean_length < 1.0 || gap < 1.0 {
                    return Err(NotPossible::Bursts {
                        percent,
                        mean_length,
                    });
                }
            }
        }
        match self.rate_bps {
            Some(0) => Err(NotPossible::NoRate),
            Some(_) if self.queue_bytes < MIN_QUEUE_BYTES => Err(NotPossible::Queue {
                queue_bytes: self.queue_bytes,
            }),
            _ => Ok(()),
        }
    }
}

fn share(what: &'static str, percent: f64) -> Result<(), NotPossible> {
    // Not a number is in no range.
    if (0.0..=100.0).contains(&percent) {
        Ok(())
    } else {
        Err(NotPossible::Percent { what, percent })
    }
}

impl Jitter {
    /// The one figure of the distribution: half the range, the standard deviation, or the scale.
    pub const fn width(self) -> Duration {
        match self {
            Self::Uniform(by) | Self::Normal(by) | Self::Pareto(by) => by,
        }
    }
}

/// Gilbert's model of [`Loss::Bursts`]: with what probability a packet begins a burst, and with what one it ends it.
///
/// A packet inside a burst is lost. Both netem and the link move on after each packet, so that a burst is `1 / end` long.
pub(super) fn burst_chances(percent: f64, mean_length: f64) -> (f64, f64) {
    let end = 1.0 / mean_length;
    // So that `begin / (begin + end)` is the share that is lost.
    let begin = end * percent / (100.0 - percent).max(f64::MIN_POSITIVE);
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused() {
        let no = |direction: Direction| direction.check().expect_err("refused").to_string();
        let nothing = Direction::default();
        let loss = |loss| Direction {
            loss: Some(loss),
            ..nothing
        };
        let bursts = |percent, mean_length| {
            loss(Loss::Bursts {
                percent,
                mean_length,
            })
        };
        let random = |percent| loss(Loss::Random { percent });
        let delay = Duration::from_secs(11);
        assert!(no(Direction { delay, ..nothing }).contains("more than 10 s"));
        assert!(no(random(101.0)).contains("loss of 101 %"));
        assert!(no(random(f64::NAN)).contains("NaN"));
        assert!(no(bursts(1.0, 0.5)).contains("0.5 packets"));
        assert!(no(bursts(90.0, 2.0)).contains("cannot be"));
        let rate = |rate_bps| Direction {
            rate_bps: Some(rate_bps),
            ..nothing
        };
        assert!(no(rate(0)).contains("carries nothing"));
        assert!(no(rate(1_000)).contains("queue of 0 bytes"));
        let reorder_percent = -1.0;
        let overtaking = Direction {
            reorder_percent,
            ..nothing
        };
        assert!(no(overtaking).contains("reordering of -1 %"));
    }
}
