//! How long clusters may take, and the collector's name in the manifests.

use std::time::Duration;

/// How long the collector's pod may take to be available; its image may have to be pulled.
pub(super) const COLLECTOR_READY: Duration = Duration::from_mins(2);

/// How long Liqo may take to span the namespace over both clusters.
pub(super) const OFFLOADED: Duration = Duration::from_mins(2);

/// How long a namespace may take to be gone.
pub(super) const GONE: Duration = Duration::from_mins(3);

/// The name of the collector's Deployment.
pub(super) const COLLECTOR: &str = "collector";
