//! The control groups of one lab, made and limited.

use std::io;

use super::group::{Dir, Group, write};
use super::hierarchy::{self, Hierarchy};
use super::make::{self, Place};
use super::model::{Limits, Missing, Part, Version};
use crate::Cluster;

/// The period over which the processor limit holds, in microseconds: the kernel's own default.
const PERIOD_US: u64 = 100_000;

/// The groups of one lab. Dropping it ends what still runs in them and removes them.
#[derive(Debug)]
pub struct Tree {
    version: Option<Version>,
    places: Vec<Place>,
    missing: Vec<Missing>,
    limits: Option<Limits>,
    limited: Vec<&'static str>,
}

impl Tree {
    /// Makes the tree of this [`name`](super::name), with the limits for each cluster if any. What cannot be had is in
    /// [`Tree::missing`].
    pub fn create(name: &str, limits: Option<Limits>) -> Self {
        Self::create_in(&hierarchy::find(), name, limits)
    }

    pub(super) fn create_in(hierarchies: &[Hierarchy], name: &str, limits: Option<Limits>) -> Self {
        let (version, places, missing) = make::make(hierarchies, name);
        let mut tree = Self {
            version,
            places,
            missing,
            limits,
            limited: Vec::new(),
        };
        if let Some(limits) = limits {
            tree.limit(limits);
        }
        tree
    }

    /// The version of the control groups that serve; none where none do.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The controllers that were had.
    pub fn controllers(&self) -> Vec<String> {
        let all = self.places.iter().flat_map(|place| &place.controllers);
        all.cloned().collect()
    }

    /// Controllers and limits that were not.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The limits that were asked for.
    pub fn limits(&self) -> Option<Limits> {
        self.limits
    }

    /// The limits that hold: `cpu`, `memory`.
    pub fn limited(&self) -> &[&'static str] {
        &self.limited
    }

    /// The group of a pod, or of a process of the fabric. Where no groups can be had it counts nothing.
    pub fn group(&self, part: Part, name: &str) -> Group {
        let folder: String = name
            .chars()
            .map(|one| {
                if one.is_ascii_alphanumeric() || one == '-' {
                    one
                } else {
                    '-'
                }
            })
            .collect();
        let dirs = self.places.iter().filter_map(|place| {
            let dir = place.below(self.is_unified(), part.folder(), Some(&folder));
            let dir = dir.inspect_err(|error| {
                tracing::warn!(
                    "no control group for {name} in {}: {error}",
                    place.root.display()
                );
            });
            Some(Dir {
                controllers: place.controllers.clone(),
                path: dir.ok()?,
            })
        });
        Group::new(part, self.version, dirs.collect())
    }

    fn is_unified(&self) -> bool {
        self.version == Some(Version::V2)
    }

    fn limit(&mut self, limits: Limits) {
        for what in ["cpu", "memory"] {
            let had = self.places.iter().any(|place| place.has(what));
            let set = self
                .places
                .iter()
                .filter(|place| place.has(what))
                .try_for_each(|place| {
                    for part in [Cluster::A, Cluster::B].map(Part::Cluster) {
                        let dir = place.below(self.is_unified(), part.folder(), None)?;
                        for (file, value) in limit_files(self.is_unified(), what, limits) {
                            write(&dir.join(file), &value)?;
                        }
                    }
                    io::Result::Ok(())
                });
            match set {
                Ok(()) if had => self.limited.push(what),
                Ok(()) => {}
                Err(error) => self
                    .missing
                    .push(Missing::new(&format!("{what} limit"), error.to_string())),
            }
        }
    }
}

/// The files that set a limit, and what is written into each.
pub(super) fn limit_files(
    unified: bool,
    what: &str,
    limits: Limits,
) -> Vec<(&'static str, String)> {
    let quota = u64::from(limits.cpu_millis) * PERIOD_US / 1_000;
    match (unified, what) {
        (true, "cpu") => vec![("cpu.max", format!("{quota} {PERIOD_US}"))],
        (true, _) => vec![("memory.max", limits.memory_bytes.to_string())],
        (false, "cpu") => vec![
            ("cpu.cfs_period_us", PERIOD_US.to_string()),
            ("cpu.cfs_quota_us", quota.to_string()),
        ],
        (false, _) => vec![("memory.limit_in_bytes", limits.memory_bytes.to_string())],
    }
}
