//! The objects of a scenario, rendered and made this run's; nothing is applied yet.

use std::collections::BTreeMap;

use anyhow::Context as _;
use cluster::{Objects, Rendering};
use serde_json::Value;
use settings::{ClusterName, Role};

use super::limits::client_name;
use super::plan::KubePlan;
use crate::run::addresses::Addresses;

/// An address of the range that is kept for documentation, where none is known.
const SOME_ADDRESS: &str = "192.0.2.1";

/// What is applied for a scenario.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    /// What is applied to cluster A first, and awaited.
    pub(super) offloading: Option<Objects>,
    /// What is applied at once: the far cluster first.
    pub(super) objects: Vec<(ClusterName, Objects)>,
    /// What is applied when a role is started: its cluster, and its Deployments.
    pub(super) workloads: BTreeMap<Role, (ClusterName, Vec<Value>)>,
    /// Where the programs find one another.
    pub(super) addresses: Addresses,
}

impl KubePlan {
    /// Renders the overlays: what is applied to cluster A first, if anything, and then each cluster's, the far one first.
    pub(super) async fn render(
        &self,
    ) -> anyhow::Result<(Option<Objects>, Vec<(ClusterName, Objects)>)> {
        let target = &self.target;
        let node = target.far_node();
        let far = target.args.address_b.as_deref();
        let far = far.or_else(|| node.and_then(|node| node.address.as_deref()));
        let images = target.args.images();
        let rendering = Rendering {
            manifests: &target.args.manifests,
            run: &target.run,
            namespace: &self.namespace,
            images: &images,
            far_node: Some(far.unwrap_or(SOME_ADDRESS)),
            component: self.is_reference.then_some("reference"),
        };
        let offloading = match self.layout.offloading {
            Some(overlay) => Some(rendering.objects(overlay).await?),
            None => None,
        };
        let mut objects = Vec::new();
        if let Some(overlay) = self.layout.b {
            let mut far = rendering.objects(overlay).await?;
            if self.layout.one_node
                && let Some(node) = node
            {
                far.pin("streamer", &node.name);
            }
            objects.push((ClusterName::B, far));
        }
        let mut near = rendering.objects(self.layout.a).await?;
        self.multiply_clients(&mut near);
        if self.is_reference {
            // Of the streamer's trace nobody could join a frame; the clocks of the others' nodes are asked.
            near.change_env("collector", "XR_SCRAPE", |before| {
                let others = before
                    .split(',')
                    .filter(|one| !one.starts_with("streamer="));
                others.collect::<Vec<_>>().join(",")
            });
        }
        objects.push((ClusterName::A, near));
        if let Some(secret) = self.secret()
            && let Some((_, objects)) = objects
                .iter_mut()
                .find(|(_, objects)| objects.find("Deployment", "streamer").is_some())
        {
            objects.add(secret);
        }
        Ok((offloading, objects))
    }

    /// Renders the overlays, and takes out what is applied when its role is started.
    pub(super) async fn prepare(&self) -> anyhow::Result<Prepared> {
        let (offloading, mut objects) = self.render().await?;
        let near = objects
            .iter()
            .find(|(cluster, _)| *cluster == ClusterName::A);
        let (_, near) = near.context("nothing is applied to cluster A")?;
        let addresses = addresses(near)?;
        let mut workloads = BTreeMap::new();
        for role in Role::ALL {
            let names: Vec<String> = match role {
                Role::Client => (1..=self.clients).map(client_name).collect(),
                Role::Renderer | Role::Streamer => vec![role.to_string()],
            };
            for (cluster, objects) in &mut objects {
                let taken = names
                    .iter()
                    .filter_map(|name| objects.take("Deployment", name));
                let taken: Vec<Value> = taken.collect();
                if !taken.is_empty() {
                    workloads.insert(role, (*cluster, taken));
                }
            }
        }
        Ok(Prepared {
            offloading,
            objects,
            workloads,
            addresses,
        })
    }

    /// Each client is a workload of its own, whose clock the collector asks by its name.
    fn multiply_clients(&self, near: &mut Objects) {
        for number in 2..=self.clients {
            let name = client_name(number);
            near.copy_workload("client", &name);
            near.change_env("collector", "XR_SCRAPE", |before| {
                format!("{before},{name}={name}-ops:9093")
            });
        }
    }
}

/// Where renderer and client find the streamer: what the overlay's `ConfigMap` says, and nobody else.
fn addresses(near: &Objects) -> anyhow::Result<Addresses> {
    let name = |object: &&Value| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        name.starts_with("streamer-address")
    };
    let map = near.of_kind("ConfigMap").find(name);
    let data = &map.context("the overlay has no ConfigMap streamer-address")?["data"];
    let of = |key: &str| {
        data[key]
            .as_str()
            .with_context(|| format!("the ConfigMap streamer-address has no {key}"))
    };
    let host = of("host")?;
    Ok(Addresses {
        http: format!("{host}:{}", of("feed-port")?),
        rtsp: format!("{host}:{}", of("rtsp-port")?),
        quic: format!("{host}:{}", of("quic-port")?),
        collector: "collector:9094".to_owned(),
    })
}
