//! How long clusters may take, how much their volumes hold, and names in the manifests.

use std::time::Duration;

/// How long the collector's pod may take to be available; its image may have to be pulled.
pub(super) const COLLECTOR_READY: Duration = Duration::from_mins(2);

/// How long Liqo may take to span the namespace over both clusters.
pub(super) const OFFLOADED: Duration = Duration::from_mins(2);

/// How long a namespace may take to be gone.
pub(super) const GONE: Duration = Duration::from_mins(3);

/// The name of the collector's Deployment.
pub(super) const COLLECTOR: &str = "collector";

/// The volume for strips of a client's pod, as `k8s/base` has it.
pub(super) const STRIPS_BYTES: u64 = 256 << 20;

/// Where an ffmpeg's pod has the files that it writes, as `k8s/components/reference` mounts it.
pub(super) const FILES: &str = "/files";

/// The name of a client's Deployment; the first is 1.
pub(super) fn client_name(number: u32) -> String {
    if number == 1 {
        "client".to_owned()
    } else {
        format!("client-{number}")
    }
}
