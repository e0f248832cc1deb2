//! What a calibration of a machine found: `calibration.json`, and a part of `run.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use settings::Role;
use timeline::UnixMicros;

/// A calibration of a machine: `calibration.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Calibration {
    /// When it was made.
    pub at_us: UnixMicros,
    /// What carried the delay: `netem`, `userspace`.
    pub wan_backend: String,
    /// The folder of the calibration's result.
    pub folder: String,
    /// SHA-256 digests of the programs that were calibrated, by name; none in calibrations of earlier versions.
    #[serde(default)]
    pub programs: BTreeMap<String, String>,
    /// The fitted line, and what it leaves.
    pub fit: Fit,
    /// Busy-waits at the stamps, by program and length; none in calibrations of earlier versions.
    #[serde(default)]
    pub holds: Vec<Hold>,
}

/// Slope and residual that an instrument must have to be believed.
pub const MAX_SLOPE_ERROR: f64 = 0.01;

/// The largest residual of a calibration that holds, in microseconds.
pub const MAX_RESIDUAL_US: f64 = 300.0;

impl Calibration {
    /// Whether the instrument is within its bounds.
    pub fn is_sound(&self) -> bool {
        self.fit.slope_holds()
            && self.fit.residual_holds()
            && self.holds.iter().all(Hold::came_back)
    }

    /// The programs that were calibrated in another build than the one with this digest, by name.
    pub fn other_programs(&self, digests: &BTreeMap<String, String>) -> Vec<String> {
        let known = self
            .programs
            .iter()
            .filter_map(|(name, of)| Some((name, of, digests.get(name)?)));
        let other = known.filter(|(_, calibrated, of)| calibrated != of);
        other.map(|(name, ..)| name.clone()).collect()
    }

    /// The largest error of a known wait at the stamps, with its margin, microseconds; none in calibrations of earlier versions.
    pub fn hold_error_us(&self) -> Option<f64> {
        let errors = self.holds.iter();
        errors
            .map(|hold| (hold.found_us - hold.set_us).abs() + hold.margin_us)
            .max_by(f64::total_cmp)
    }

    /// The bound of the instrument's error of a latency, microseconds: the largest residual with its margin or error of a known wait, and,
    /// for as much as the latency is longer than all calibrated ones, what the slope may be off by. None where single repetitions leave the margin
    /// open.
    pub fn error_us(&self, latency_us: f64) -> Option<f64> {
        let Fit {
            slope,
            slope_margin,
            ..
        } = self.fit;
        let calibrated = self.fit.steps.iter().map(|step| step.latency_us);
        let longest = calibrated.fold(self.fit.own_us, f64::max);
        let beyond = ((slope - 1.0).abs() + slope_margin) * (latency_us - longest).max(0.0);
        let margin = self.fit.residual_margin_us;
        let residual_us = self.fit.worst_residual_us + margin;
        let error_us = residual_us.max(self.hold_error_us().unwrap_or(0.0));
        (margin < f64::MAX).then_some(error_us + beyond)
    }
}

/// A busy-wait between the two clock readings of every frame, in one program: the latency must grow by as much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hold {
    /// The program that waited: the renderer after its clock reading, the client before its own.
    pub role: Role,
    /// The length of the wait, microseconds.
    pub set_us: f64,
    /// By how much the mean of the repetitions' p50 grew, with the delay on the wire taken off.
    pub found_us: f64,
    /// How far that may be from the true growth, microseconds: one-sided, 95 %.
    pub margin_us: f64,
    /// Repetitions with the wait.
    pub runs: u32,
}

impl Hold {
    /// Whether the wait came back within the bound of a residual, and surely so.
    pub fn came_back(&self) -> bool {
        (self.found_us - self.set_us).abs() + self.margin_us <= MAX_RESIDUAL_US
    }
}

/// One delay, its repetitions together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// The delay that was asked for, in microseconds.
    pub set_us: f64,
    /// As captured on the wire: the mean of the repetitions' p50.
    pub wire_us: f64,
    /// The mean of the repetitions' p50 of the latency.
    pub latency_us: f64,
    /// What the latency has more than the wire's delay and the pipeline's own share.
    pub residual_us: f64,
    /// Repetitions at this delay.
    pub runs: u32,
}

/// A line fitted through the delays of a calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fit {
    /// Latency over delay on the wire; 1 for an instrument that adds nothing of its own.
    pub slope: f64,
    /// The standard error of the slope.
    pub slope_error: f64,
    /// How far the slope may be from the true one: half of its 90 % interval, as two one-sided tests of 5 % ask for. 0 in calibrations
    /// of earlier versions, which did not ask.
    #[serde(default)]
    pub slope_margin: f64,
    /// The pipeline's own latency: the mean, over the steps, of latency minus delay on the wire.
    pub own_us: f64,
    /// The largest residual of a step, without its sign.
    pub worst_residual_us: f64,
    /// How far a step's residual may be from the true one, microseconds, as `slope_margin`.
    #[serde(default)]
    pub residual_margin_us: f64,
    /// The steps, by delay.
    pub steps: Vec<Step>,
}

impl Fit {
    /// Whether the slope is within its bound, and sure to be: bounds are borne out by equivalence (two one-sided tests), not by an
    /// estimate that happens to lie within them.
    pub fn slope_holds(&self) -> bool {
        (self.slope - 1.0).abs() + self.slope_margin <= MAX_SLOPE_ERROR
    }

    /// Whether every residual is within its bound, and sure to be.
    pub fn residual_holds(&self) -> bool {
        self.worst_residual_us + self.residual_margin_us <= MAX_RESIDUAL_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_latency_beyond_the_calibrated_ones_has_the_slope_s() {
        let step = |latency_us| Step {
            set_us: 0.0,
            wire_us: 0.0,
            latency_us,
            residual_us: 0.0,
            runs: 3,
        };
        let mut of = Calibration {
            at_us: UnixMicros(0),
            wan_backend: "netem".into(),
            folder: String::new(),
            programs: BTreeMap::new(),
            fit: Fit {
                slope: 0.999,
                slope_error: 0.002,
                slope_margin: 0.003,
                own_us: 8_000.0,
                worst_residual_us: 110.0,
                residual_margin_us: 60.0,
                steps: [8_000.0, 58_000.0].map(step).into(),
            },
            holds: Vec::new(),
        };
        let near = |of: &Calibration, latency, us: f64| {
            let error = of.error_us(latency).expect("a margin");
            assert!((error - us).abs() < 1e-6, "{error}");
        };
        near(&of, 9_000.0, 170.0);
        near(&of, 58_000.0, 170.0);
        // 100 ms more: 0.4 % of them.
        near(&of, 158_000.0, 570.0);
        let hold = |found_us| Hold {
            role: Role::Client,
            set_us: 2_000.0,
            found_us,
            margin_us: 50.0,
            runs: 3,
        };
        of.holds = vec![hold(2_010.0), hold(1_800.0)];
        near(&of, 9_000.0, 250.0);
        of.fit.residual_margin_us = f64::MAX;
        assert_eq!(of.error_us(9_000.0), None);
    }

    #[test]
    fn programs_of_another_build_are_named() {
        let digests = |client: &str| {
            let both = [("xr-client", client), ("xr-renderer", "aa")];
            BTreeMap::from(both.map(|(name, digest)| (name.to_owned(), digest.to_owned())))
        };
        let mut of = Calibration {
            at_us: UnixMicros(0),
            wan_backend: String::new(),
            folder: String::new(),
            programs: digests("aa"),
            fit: Fit {
                slope: 1.0,
                slope_error: 0.0,
                slope_margin: 0.0,
                own_us: 0.0,
                worst_residual_us: 0.0,
                residual_margin_us: 0.0,
                steps: Vec::new(),
            },
            holds: Vec::new(),
        };
        assert_eq!(of.other_programs(&digests("bb")), ["xr-client"]);
        for nothing_told in [digests("aa"), BTreeMap::new()] {
            assert!(of.other_programs(&nothing_told).is_empty());
        }
        of.programs.clear();
        assert!(of.other_programs(&digests("bb")).is_empty());
    }
}
