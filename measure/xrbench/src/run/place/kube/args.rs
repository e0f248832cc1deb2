//! The clusters that a command line names.

use std::path::PathBuf;

use cluster::{Access, Images};
use settings::ClusterName;

/// Where clusters A and B are.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct ClusterArgs {
    /// Kubeconfig of cluster A [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, env = "XR_KUBECONFIG_A", value_name = "FILE")]
    pub kubeconfig_a: Option<PathBuf>,
    /// Context of cluster A [default: the kubeconfig's current one]
    #[arg(long, env = "XR_CONTEXT_A", value_name = "NAME")]
    pub context_a: Option<String>,
    /// Kubeconfig of cluster B [default: that of A, if a context of B is named]
    #[arg(long, env = "XR_KUBECONFIG_B", value_name = "FILE")]
    pub kubeconfig_b: Option<PathBuf>,
    /// Context of cluster B
    #[arg(long, env = "XR_CONTEXT_B", value_name = "NAME")]
    pub context_b: Option<String>,
}

/// How a run is put onto clusters.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubeArgs {
    /// Where the clusters are.
    #[command(flatten)]
    pub clusters: ClusterArgs,
    /// Folder of the manifests
    #[arg(long, env = "XR_MANIFESTS", value_name = "DIR", default_value = cluster::MANIFESTS)]
    pub manifests: PathBuf,
    /// What stands before /renderer and so on in the names of the images, as ghcr.io/you/xrbench [default: as in the manifests]
    #[arg(long, env = "XR_IMAGE_PREFIX", value_name = "NAME")]
    pub image_prefix: Option<String>,
    /// Tag of the images [default: as in the manifests]
    #[arg(long, env = "XR_IMAGE_TAG", value_name = "TAG")]
    pub image_tag: Option<String>,
    /// Address at which pods of cluster A reach cluster B's NodePorts [default: that of a node of B]
    #[arg(long, env = "XR_ADDRESS_B", value_name = "ADDR")]
    pub address_b: Option<String>,
}

impl ClusterArgs {
    /// How a cluster is reached; none for a cluster B that nobody named.
    pub fn access(&self, cluster: ClusterName) -> Option<Access> {
        match cluster {
            ClusterName::A => Some(Access {
                kubeconfig: self.kubeconfig_a.clone(),
                context: self.context_a.clone(),
            }),
            ClusterName::B => {
                let named = self.kubeconfig_b.is_some() || self.context_b.is_some();
                named.then(|| Access {
                    kubeconfig: (self.kubeconfig_b.clone()).or_else(|| self.kubeconfig_a.clone()),
                    context: self.context_b.clone(),
                })
            }
        }
    }
}

impl KubeArgs {
    /// Where images come from.
    pub fn images(&self) -> Images {
        Images {
            prefix: self.image_prefix.clone(),
            tag: self.image_tag.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_contexts_of_one_kubeconfig_are_two_clusters() {
        let mut args = ClusterArgs {
            kubeconfig_a: Some("/k".into()),
            ..ClusterArgs::default()
        };
        assert_eq!(args.access(ClusterName::B), None);
        args.context_b = Some("far".into());
        let b = args.access(ClusterName::B).expect("named");
        assert_eq!(b.kubeconfig, Some("/k".into()));
        assert_eq!(b.context.as_deref(), Some("far"));
        args.kubeconfig_b = Some("/other".into());
        let b = args.access(ClusterName::B).expect("named");
        assert_eq!(b.kubeconfig, Some("/other".into()));
    }
}
