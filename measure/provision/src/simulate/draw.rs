//! The times of a simulated provider. They are drawn in strata: of `n` repetitions each has a time out of another `n`-th of the
//! distribution, in a drawn order, so that a few repetitions show the distribution's own median.

use std::time::Duration;

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::profile::{CellProfile, Lognormal, Profile};

/// Every time that a provider may be asked for.
#[derive(Debug)]
pub(super) struct Draws {
    profile: Profile,
    seed: u64,
    repetitions: u32,
}

/// The real times of one cluster's steps, each after the one before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Times {
    pub infrastructure: Duration,
    pub machine: Duration,
    pub bootstrap: Duration,
    pub vm: Duration,
    pub api_server: Duration,
    pub registration: Duration,
    pub node_ready: Duration,
    pub control_plane: Duration,
    pub workers: Duration,
    pub deletion: Duration,
}

impl Draws {
    pub(super) fn new(profile: &Profile, seed: u64, repetitions: u32) -> Self {
        Self {
            profile: profile.clone(),
            seed,
            repetitions,
        }
    }

    /// The times of a cluster, shortened by the time scale; `place` tells flavours apart.
    pub(super) fn times(
        &self,
        distribution: &str,
        nodes: u32,
        place: u64,
        repetition: u32,
    ) -> Option<Times> {
        let cell = self.profile.of(distribution, nodes)?;
        let of = |step: u64, take: fn(&CellProfile) -> Option<Lognormal>| {
            let Some(of) = take(cell) else {
                return Duration::ZERO;
            };
            let words = format!("{distribution} {nodes}");
            let cell_seed = words.bytes().fold(self.seed, |seed, byte| {
                seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte)
            });
            let share = self.share(cell_seed ^ (place << 32) ^ step, repetition);
            Duration::from_secs_f64(of.at(share) / self.profile.time_scale)
        };
        Some(Times {
            infrastructure: of(0, |cell| Some(cell.infrastructure)),
            machine: of(1, |cell| Some(cell.machine)),
            bootstrap: of(2, |cell| Some(cell.bootstrap)),
            vm: of(3, |cell| Some(cell.vm)),
            api_server: of(4, |cell| Some(cell.api_server)),
            registration: of(5, |cell| Some(cell.registration)),
            node_ready: of(6, |cell| Some(cell.node_ready)),
            control_plane: of(7, |cell| Some(cell.control_plane)),
            workers: of(8, |cell| cell.workers),
            deletion: of(9, |cell| Some(cell.deletion)),
        })
    }

    /// The share of the distribution below the time of a repetition: the middle of its stratum.
    fn share(&self, seed: u64, repetition: u32) -> f64 {
        let mut strata: Vec<u32> = (0..self.repetitions.max(repetition)).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut strata);
        let stratum = strata
            .get(repetition.saturating_sub(1) as usize)
            .copied()
            .unwrap_or(0);
        (f64::from(stratum) + 0.5) / strata.len() as f64
    }
}

impl Lognormal {
    /// The time, in seconds, that a share of all times does not exceed.
    fn at(&self, share: f64) -> f64 {
        let standard = Normal::standard();
        self.median_s * (self.sigma * standard.inverse_cdf(share)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_repetitions_have_the_profiles_medians() {
        let text = include_str!("../../../../k8s/capi/profile.toml");
        let profile = Profile::parse(text, "profile.toml").expect("a profile");
        let draws = Draws::new(&profile, 1, 30);
        for cell in &profile.cells {
            let times = |take: fn(&Times) -> Duration| {
                let all = (1..=30).map(|repetition| {
                    let times = draws
                        .times(&cell.distribution, cell.nodes, 0, repetition)
                        .expect("a cell");
                    take(&times).as_secs_f64() * profile.time_scale
                });
                let mut all: Vec<f64> = all.collect();
                all.sort_by(f64::total_cmp);
                f64::midpoint(all[14], all[15])
            };
            for (found, stated) in [
                (times(|of| of.infrastructure), cell.infrastructure),
                (times(|of| of.vm), cell.vm),
                (times(|of| of.deletion), cell.deletion),
            ] {
                assert!(
                    (found / stated.median_s - 1.0).abs() < 0.001,
                    "{found} {stated:?}"
                );
            }
            let first = draws.times(&cell.distribution, cell.nodes, 0, 1);
            assert_eq!(
                first,
                draws.times(&cell.distribution, cell.nodes, 0, 1),
                "drawn from the seed"
            );
            assert_ne!(first, draws.times(&cell.distribution, cell.nodes, 0, 2));
        }
    }

    #[test]
    fn strata_are_not_in_one_order_for_all_steps() {
        let text = include_str!("../../../../k8s/capi/profile.toml");
        let profile = Profile::parse(text, "profile.toml").expect("a profile");
        let draws = Draws::new(&profile, 1, 30);
        let order = |seed| {
            (1..=30)
                .map(|one| draws.share(seed, one))
                .collect::<Vec<_>>()
        };
        assert_ne!(order(0), order(1));
        let mut sorted = order(7);
        sorted.sort_by(f64::total_cmp);
        assert!(
            sorted
                .windows(2)
                .all(|two| (two[1] - two[0] - 1.0 / 30.0).abs() < 1e-9)
        );
    }
}
