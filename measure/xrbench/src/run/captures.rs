//! The points at which packets are to be captured, checked before anything runs.

use std::collections::BTreeSet;

use service::ConfigError;

use super::place::lab_plan::{self, LabCapabilities};
use crate::scenario::File;

/// Refuses to capture where there is no lab.
pub(super) fn check_none(asked: &[String]) -> Result<(), ConfigError> {
    asked.first().map_or(Ok(()), |point| {
        let why = "no scenario of this run has a fabric, so there is no lab to capture in";
        let remedy = "Leave it out, or give a scenario with a fabric, such as those of scenarios/quick.toml.";
        Err(ConfigError::new("--pcap (XR_PCAP)", point, why, remedy))
    })
}

/// A point at which no lab of the file can capture is said before anything runs, and so is a lab that cannot be built.
pub(super) fn check(
    file: &File,
    capabilities: &LabCapabilities,
    asked: &[String],
) -> anyhow::Result<()> {
    let mut points = BTreeSet::new();
    for scenario in file.scenario.iter().filter(|one| one.fabric.is_lab()) {
        capabilities.check(scenario)?;
        let planned = lab_plan::plan(scenario, capabilities, file.seed)?;
        points.extend(planned.built.reach.captures.into_keys());
    }
    let known: Vec<&str> = points.iter().map(String::as_str).collect();
    if let Some(point) = asked.iter().find(|point| !points.contains(*point)) {
        let why = format!(
            "no lab of this file has such a point; {}",
            settings::hint(point, &known)
        );
        return Err(ConfigError::new("--pcap (XR_PCAP)", point, why, "Name one of them.").into());
    }
    Ok(())
}
