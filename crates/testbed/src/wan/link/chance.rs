//! The chances of a direction: which packet is lost, which one overtakes, how late each is. The same seed, the same fate.

use std::time::Duration;

use rand_distr::{Distribution as _, Pareto, StandardNormal, StandardUniform};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::SeedableRng as _;

use crate::wan::model::{Direction, Jitter, Loss, burst_chances};

/// Beyond so many standard deviations, or scales, nothing is: as netem's tables end.
const WIDEST: f64 = 4.0;

/// The random part of one direction.
#[derive(Debug)]
pub(super) struct Chance {
    random: Pcg64Mcg,
    pareto: Pareto<f64>,
    in_burst: bool,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Pcg64Mcg::seed_from_u64(seed),
            pareto: Pareto::new(1.0, 3.0).expect("a scale and a shape above 0"),
            in_burst: false,
        }
    }

    /// Whether the next packet is lost.
    pub(super) fn loses(&mut self, loss: Option<Loss>) -> bool {
        match loss {
            None => false,
            Some(Loss::Random { percent }) => self.happens(percent / 100.0),
            Some(Loss::Bursts {
                percent,
                mean_length,
            }) => {
                let (begin, end) = burst_chances(percent, mean_length);
                let fate = self.in_burst;
                let turn = if self.in_burst { end } else { begin };
                if self.happens(turn) {
                    self.in_burst = !self.in_burst;
                }
                fate
            }
        }
    }

    /// Whether the next packet overtakes those before it.
    pub(super) fn overtakes(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.happens(percent / 100.0)
    }

    /// The delay of the next packet, never below zero.
    pub(super) fn delay(&mut self, direction: &Direction) -> Duration {
        let Some(jitter) = direction.jitter else {
            return direction.delay;
        };
        let (by, factor) = match jitter {
            Jitter::Uniform(by) => (by, 2.0 * self.even() - 1.0),
            Jitter::Normal(by) => (by, self.normal()),
            Jitter::Pareto(by) => (by, self.pareto()),
        };
        let by = by.mul_f64(factor.abs().min(WIDEST));
        if factor < 0.0 {
            direction.delay.saturating_sub(by)
        } else {
            direction.delay + by
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        // It is below 1, so that a probability of 1 always happens.
        self.even() < probability
    }

    /// At least 0 and below 1.
    fn even(&mut self) -> f64 {
        StandardUniform.sample(&mut self.random)
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.random)
    }

    /// As netem's table has it: shape 3, moved to a mean of 0, and stretched by 4/3.
    fn pareto(&mut self) -> f64 {
        (self.pareto.sample(&mut self.random) - 1.5) * 4.0 / 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: u32 = 200_000;

    fn delays_us(jitter: Jitter) -> Vec<f64> {
        let direction = Direction {
            delay: Duration::from_millis(10),
            jitter: Some(jitter),
            ..Direction::default()
        };
        let mut chance = Chance::new(1);
        let delays = (0..PACKETS).map(|_| chance.delay(&direction).as_secs_f64() * 1e6);
        delays.collect()
    }

    fn mean_and_deviation(of: &[f64]) -> (f64, f64) {
        let count = of.len() as f64;
        let mean = of.iter().sum::<f64>() / count;
        let square = of.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (mean, square.sqrt())
    }

    #[test]
    fn jitter_has_its_shape() {
        let by = Duration::from_micros(100);
        let even = delays_us(Jitter::Uniform(by));
        assert!(even.iter().all(|us| (9_899.99..=10_100.01).contains(us)));
        let (mean, deviation) = mean_and_deviation(&even);
        assert!((mean - 10_000.0).abs() < 1.0, "{mean}");
        assert!((deviation - 57.7).abs() < 1.0, "{deviation}");

        let (mean, deviation) = mean_and_deviation(&delays_us(Jitter::Normal(by)));
        assert!((mean - 10_000.0).abs() < 1.0, "{mean}");
        assert!((deviation - 100.0).abs() < 1.0, "{deviation}");

        let pareto = delays_us(Jitter::Pareto(by));
        let (mean, _) = mean_and_deviation(&pareto);
        assert!((mean - 10_000.0).abs() < 5.0, "{mean}");
        assert!(pareto.iter().all(|us| (9_933.0..=10_400.1).contains(us)));
        assert!(pareto.iter().filter(|us| **us > 10_300.0).count() > 1_000);
    }

    #[test]
    fn the_share_that_is_lost_is_right_and_bursts_have_their_length() {
        let mut chance = Chance::new(2);
        let random = Some(Loss::Random { percent: 1.0 });
        let lost = (0..PACKETS).filter(|_| chance.loses(random)).count();
        assert!((1_800..2_200).contains(&lost), "{lost}");

        let bursts = Some(Loss::Bursts {
            percent: 2.0,
            mean_length: 5.0,
        });
        let fates: Vec<bool> = (0..PACKETS).map(|_| chance.loses(bursts)).collect();
        let lost = fates.iter().filter(|lost| **lost).count();
        let starts = fates.windows(2).filter(|two| !two[0] && two[1]).count();
        assert!((3_500..4_500).contains(&lost), "{lost}");
        let length = lost as f64 / starts as f64;
        assert!((4.5..5.5).contains(&length), "{length}");
    }

    #[test]
    fn certainties_are_certain() {
        let mut chance = Chance::new(3);
        for _ in 0..1_000 {
            assert!(chance.loses(Some(Loss::Random { percent: 100.0 })));
            assert!(!chance.loses(Some(Loss::Random { percent: 0.0 })));
            assert!(chance.overtakes(100.0) && !chance.overtakes(0.0));
        }
    }

    #[test]
    fn the_same_seed_has_the_same_fate() {
        let fate = |seed| {
            let mut chance = Chance::new(seed);
            let half = Some(Loss::Random { percent: 50.0 });
            (0..64).map(|_| chance.loses(half)).collect::<Vec<_>>()
        };
        assert_eq!(fate(7), fate(7));
        assert_ne!(fate(7), fate(8));
    }
}
