//! What the places of a run are planned with: this machine, or clusters of others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::kube::KubeTarget;
use super::lab_plan::LabCapabilities;
use crate::run::commands::Programs;
use crate::run::{codecs, machine};
use crate::scenario::Disturbed;

/// What places are planned with.
#[derive(Clone, Debug)]
pub(in crate::run) enum Means {
    /// This machine, with its capabilities for labs where a scenario needs one.
    Here(Option<Box<LabCapabilities>>),
    /// The clusters of the run.
    Kube(Arc<KubeTarget>),
}

impl Means {
    /// The machine's capabilities for labs; none where no scenario needs one, and on clusters.
    pub(in crate::run) fn lab(&self) -> Option<&LabCapabilities> {
        match self {
            Self::Here(capabilities) => capabilities.as_deref(),
            Self::Kube(_) => None,
        }
    }

    /// Whether the programs run on this machine, so that its files are theirs, and its calibration says something of them.
    pub(in crate::run) const fn run_here(&self) -> bool {
        match self {
            Self::Here(_) => true,
            Self::Kube(_) => false,
        }
    }

    /// The rule by which seconds of this machine count as disturbed. Where what is measured runs elsewhere none does.
    pub(in crate::run) const fn disturbed(&self, rule: Disturbed) -> Disturbed {
        match self {
            Self::Here(_) => rule,
            Self::Kube(_) => Disturbed::NEVER,
        }
    }

    /// The versions of what takes part.
    pub(in crate::run) async fn versions(&self, programs: &Programs) -> BTreeMap<String, String> {
        match self {
            Self::Here(_) => {
                let mut versions = machine::versions(programs).await;
                versions.extend(codecs::versions().await);
                versions
            }
            Self::Kube(target) => {
                let own = ("xrbench".to_owned(), machine::own_version());
                target.programs().into_iter().chain([own]).collect()
            }
        }
    }
}
