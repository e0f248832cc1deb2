//! Plans that no fabric can be built from.

use thiserror::Error;

use super::address::MAX_PODS;
use crate::Cluster;
use crate::local::plan::{Fabric, LabPlan};

/// The longest name of a pod: `veth-` and it must fit into an interface's name.
const MAX_POD_NAME_BYTES: usize = 10;

/// A plan that no fabric can be built from.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nobody to reach.
    #[error("no pod is named \"streamer\": the fabric leads to it")]
    NoStreamer,
    /// A name that cannot be a namespace's and an interface's.
    #[error(
        "pod {0:?}: a name has 1 to {MAX_POD_NAME_BYTES} letters a-z, digits and '-', begins with a letter, and is none of \
         the fabric's own (node-a, gateway-b, control)"
    )]
    PodName(String),
    /// Two pods of one name.
    #[error("two pods are named {0:?}")]
    Duplicate(String),
    /// More pods than addresses.
    #[error("{0} pods: a lab has addresses for {MAX_PODS}")]
    TooMany(usize),
    /// A pod where the fabric has no cluster, or no streamer.
    #[error("pod {pod:?} is in cluster {cluster:?}, and {reason}")]
    Placement {
        pod: String,
        /// Where the plan puts it.
        cluster: Cluster,
        reason: &'static str,
    },
    /// Translation of addresses where nothing translates.
    #[error(
        "overlapping pod addresses: only Liqo translates them; leave it out or take a liqo fabric"
    )]
    Overlapping,
    /// A second streamer where no service leads to it.
    #[error(
        "a streamer that stands by: only LISP has services with one address in several clusters; take the fabric lisp"
    )]
    Standby,
    /// A port that cannot be served.
    #[error(
        "the streamer's ports are {feed} for feeds and {rtsp} for RTSP: they must differ, and 0 is none"
    )]
    Ports { feed: u16, rtsp: u16 },
}

/// What every fabric needs of a plan.
pub(super) fn check(plan: &LabPlan) -> Result<(), BuildError> {
    if plan.pods.len() > MAX_PODS {
        return Err(BuildError::TooMany(plan.pods.len()));
    }
    if plan.overlapping && !matches!(plan.fabric, Fabric::Liqo(_)) {
        return Err(BuildError::Overlapping);
    }
    if plan.standby && plan.fabric != Fabric::Lisp {
        return Err(BuildError::Standby);
    }
    let (feed, rtsp) = (plan.feed_port, plan.rtsp_port);
    if feed == 0 || rtsp == 0 || feed == rtsp {
        return Err(BuildError::Ports { feed, rtsp });
    }
    for (index, pod) in plan.pods.iter().enumerate() {
        if !is_name(&pod.name) {
            return Err(BuildError::PodName(pod.name.clone()));
        }
        if plan.pods[..index].iter().any(|one| one.name == pod.name) {
            return Err(BuildError::Duplicate(pod.name.clone()));
        }
        let wrong = match (plan.fabric, pod.cluster) {
            (Fabric::Single, Cluster::B) => Some("a single cluster is cluster A"),
            (Fabric::NodePort(_) | Fabric::Liqo(_) | Fabric::Lisp, Cluster::A)
                if pod.name == "streamer" =>
            {
                Some("this fabric leads to a streamer in cluster B")
            }
            _ => None,
        };
        if let Some(reason) = wrong {
            return Err(BuildError::Placement {
                pod: pod.name.clone(),
                cluster: pod.cluster,
                reason,
            });
        }
    }
    let has_streamer = plan.pods.iter().any(|pod| pod.name == "streamer");
    has_streamer.then_some(()).ok_or(BuildError::NoStreamer)
}

fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let own = [
        "node-a",
        "node-b",
        "node-c",
        "gateway-a",
        "gateway-b",
        "control",
        "standby",
    ];
    (1..=MAX_POD_NAME_BYTES).contains(&name.len())
        && letters
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !own.contains(&name)
}
