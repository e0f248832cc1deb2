//! From a scenario to the overlays that are applied for it, and what cannot run on clusters. Pure.

use std::path::Path;
use std::sync::Arc;

use cluster::Overlay;
use ocr::{BAND_HEIGHT, BAND_WIDTH};
use serde_json::Value;
use service::ConfigError;
use settings::{ClusterName, Role, SourceSpec, Transport};
use stamp::{STRIP_HEIGHT, STRIP_WIDTH};

use super::certificate::{Certificate, mounted};
use super::limits::{FILES, STRIPS_BYTES};
use super::target::KubeTarget;
use crate::run::addresses::{IdentityFiles, ListenAddresses};
use crate::run::commands::ReferenceFiles;
use crate::run::place::ports::{FEED_PORT, QUIC_PORT, RTSP_PORT, ops_port};
use crate::run::place::terms::PlaceMeta;
use crate::scenario::{Fabric, Fault, Scenario, Service};
use result::FabricMeta;

/// The id that cluster B has in Liqo, as `k8s/components/liqo` has it.
pub(super) const PEER: &str = "cluster-b";

/// The overlays of a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) a: Overlay,
    /// What is applied to cluster B; none where all is applied to A.
    pub(super) b: Option<Overlay>,
    /// What is applied to A first, and awaited.
    pub(super) offloading: Option<Overlay>,
    /// Whether only a node on which the streamer runs leads to it.
    pub(super) one_node: bool,
}

const fn in_a(path: &'static str) -> Overlay {
    Overlay {
        cluster: ClusterName::A,
        path,
    }
}

const fn in_b(path: &'static str) -> Overlay {
    Overlay {
        cluster: ClusterName::B,
        path,
    }
}

/// The overlays of a fabric, with a port for QUIC or without; none where Kubernetes has no such fabric.
pub(super) fn layout(fabric: Fabric, quic: bool) -> Option<Layout> {
    let alone = Layout {
        a: in_a("s1-single"),
        b: None,
        offloading: None,
        one_node: false,
    };
    let nodeport = |path, one_node| Layout {
        a: in_a("s3-nodeport-local/cluster-a"),
        b: Some(in_b(path)),
        offloading: None,
        one_node,
    };
    if quic {
        return Some(match fabric {
            Fabric::Single => Layout {
                a: in_a("s1-single-quic"),
                ..alone
            },
            Fabric::Nodeport => Layout {
                a: in_a("s3-nodeport-quic/cluster-a"),
                b: Some(in_b("s3-nodeport-quic/cluster-b")),
                ..alone
            },
            Fabric::NodeportLocal
            | Fabric::Liqo
            | Fabric::Host
            | Fabric::LiqoV0_10
            | Fabric::Lisp => return None,
        });
    }
    Some(match fabric {
        Fabric::Single => alone,
        Fabric::Nodeport => nodeport("s3-nodeport-local/cluster-b", false),
        Fabric::NodeportLocal => nodeport("s3-nodeport-local/cluster-b-policy-local", true),
        Fabric::Liqo => Layout {
            a: in_a("s2-liqo-local/cluster-a"),
            offloading: Some(in_a("s2-liqo-local/offloading")),
            ..alone
        },
        Fabric::Host | Fabric::LiqoV0_10 | Fabric::Lisp => return None,
    })
}

/// A scenario that is to be put onto clusters.
#[derive(Clone, Debug)]
pub(in crate::run) struct KubePlan {
    pub(super) target: Arc<KubeTarget>,
    /// The namespace of what is applied.
    pub(super) namespace: String,
    pub(super) layout: Layout,
    pub(super) fabric: Fabric,
    pub(super) clients: u32,
    /// Whether ffmpeg renders and plays.
    pub(super) is_reference: bool,
    /// The transport of RTP: the scenario's, unless that cannot work here.
    pub(crate) transport: Transport,
    transport_why: Option<String>,
    /// The streamer's certificate, once there is one.
    certificate: Option<Certificate>,
}

impl KubePlan {
    /// Plans a scenario.
    pub(crate) fn new(scenario: &Scenario, target: &Arc<KubeTarget>) -> anyhow::Result<Self> {
        let layout = check(scenario)?;
        let cannot = layout.b.is_some() && scenario.transport == Transport::Udp;
        let why =
            "a NodePort leads to the ports that its Service lists, and RTP on UDP uses others";
        Ok(Self {
            target: Arc::clone(target),
            namespace: target.next_namespace(),
            layout,
            fabric: scenario.fabric,
            clients: scenario.clients,
            is_reference: scenario.pipeline.is_reference(),
            transport: if cannot {
                Transport::Tcp
            } else {
                scenario.transport
            },
            transport_why: cannot.then(|| why.to_owned()),
            certificate: None,
        })
    }

    /// Takes the streamer's certificate, to be a Secret. Returns the files that the streamer's pod will see.
    pub(crate) fn hold(&mut self, files: &IdentityFiles) -> anyhow::Result<IdentityFiles> {
        self.certificate = Some(Certificate::read(files)?);
        Ok(mounted(files.pin.clone()))
    }

    /// The Secret with the streamer's certificate, where one is needed. Without a certificate there are words in its place.
    pub(super) fn secret(&self) -> Option<Value> {
        self.transport.is_quic().then(|| {
            let unknown = Certificate::unknown();
            let held = self.certificate.as_ref().unwrap_or(&unknown);
            held.secret(&self.target.run, &self.namespace)
        })
    }

    /// Where each program listens in its pod.
    pub(crate) fn listen() -> ListenAddresses {
        let any = |port: u16| format!("0.0.0.0:{port}");
        ListenAddresses {
            http: any(FEED_PORT),
            rtsp: any(RTSP_PORT),
            quic: any(QUIC_PORT),
            identity: None,
            ops: Role::ALL.map(|role| (role, any(ops_port(role)))).into(),
            udp_ports: None,
        }
    }

    /// Where an ffmpeg that is a pod writes the files that are these here.
    pub(crate) fn reference_files(here: &ReferenceFiles) -> ReferenceFiles {
        here.below(Path::new(FILES))
    }

    /// What is known before anything is applied.
    pub(crate) fn meta(&self) -> PlaceMeta {
        let two = self.layout.b.is_some() || self.layout.offloading.is_some();
        let fabric = FabricMeta {
            name: match self.fabric {
                Fabric::Nodeport => "nodeport-cluster".to_owned(),
                Fabric::Liqo => "liqo".to_owned(),
                other => other.to_string(),
            },
            backend: format!("pods, {}", self.target.versions().join(", ")),
            service: if self.layout.b.is_some() {
                "nodeport"
            } else {
                "clusterip"
            }
            .to_owned(),
            wan_crossings: if two { 2 } else { 0 },
            ..FabricMeta::default()
        };
        PlaceMeta {
            fabric: Some(fabric),
            wan: None,
            resources: None,
            transport: Some((self.transport, self.transport_why.clone())),
        }
    }
}

/// Whether a scenario can run on clusters at all.
pub(super) fn check(scenario: &Scenario) -> Result<Layout, ConfigError> {
    let wrong = |key: &str, value: String, why: &str, remedy: &str| {
        let key = format!("scenario {}.{key} with --place kube", scenario.name);
        Err(ConfigError::new(key, value, why, remedy))
    };
    let quic = scenario.transport.is_quic();
    let Some(layout) = layout(scenario.fabric, quic) else {
        let (why, remedy) = if quic {
            (
                "no overlay of it has a port for QUIC",
                "Give it one of single, nodeport; or another transport.",
            )
        } else {
            (
                "clusters have no such fabric",
                "Give it one of single, nodeport, nodeport-local, liqo; or choose others by --only.",
            )
        };
        return wrong("fabric", scenario.fabric.to_string(), why, remedy);
    };
    if scenario.pipeline.is_reference() {
        if scenario.clients > 1 {
            let why =
                "a reference is known from its strips alone, of which a repetition has one folder";
            let remedy = format!("`--set {}.clients=1`.", scenario.name);
            return wrong("clients", scenario.clients.to_string(), why, &remedy);
        }
        // It keeps all of them, those of its start and of its end too.
        let most = STRIPS_BYTES as f64 / BAND_BYTES / scenario.fps.as_f64();
        let longest = scenario.frames() / scenario.fps.as_f64() + START_AND_END_S;
        if longest > most {
            let why = "the player's pod has no room for so many strips";
            let remedy = format!(
                "Keep it, with the warm-up and {START_AND_END_S} s for start and end, below {most:.0} s."
            );
            return wrong("duration", scenario.duration.to_string(), why, &remedy);
        }
    }
    if let Some(server) = &scenario.server {
        let why = "there is no image of another server";
        return wrong("server", server.command.clone(), why, ONLY);
    }
    if scenario.service == Service::Headless {
        let why = "the manifests have a ClusterIP in front of the streamer";
        return wrong("service", "headless".to_owned(), why, ONLY);
    }
    if scenario.overlapping || scenario.renderer.cluster == ClusterName::B {
        let why =
            "the manifests have the renderer in cluster A, and addresses are the clusters' own";
        let value = "overlapping, or cluster b".to_owned();
        return wrong("renderer.cluster", value, why, ONLY);
    }
    // Of frames that were read, and as many again of those that were not; with the header of each.
    let most = STRIPS_BYTES / 2 / (2 * STRIP_WIDTH * STRIP_HEIGHT + 64) as u64;
    if u64::from(scenario.ocr.max_frames) > most {
        let why = "the client's pod has no room for so many strips";
        let remedy = format!("Keep at most {most}, or make the volume larger in k8s/base/client.");
        return wrong(
            "ocr.max_frames",
            scenario.ocr.max_frames.to_string(),
            why,
            &remedy,
        );
    }
    if scenario.feed.is_quic() {
        let why = "the manifests have the feed over HTTP, and no token for feeds";
        return wrong("feed", scenario.feed.to_string(), why, ONLY);
    }
    for fault in &scenario.fault {
        if let Err((why, remedy)) = check_fault(fault, layout) {
            return wrong("fault", format!("{fault:?}"), why, remedy);
        }
    }
    Ok(layout)
}

/// Whether a fault can be made on clusters; else the reason, and the remedy.
fn check_fault(fault: &Fault, layout: Layout) -> Result<(), (&'static str, &'static str)> {
    match fault {
        Fault::Kill { who, .. } if who.who().is_err() => Err((
            "the gateways of others' clusters are not ours to kill",
            "Kill renderer, streamer or client, cut a cluster off by an outage, or leave it out.",
        )),
        Fault::Move { .. } => Err((
            "the addresses of pods are their cluster's to give",
            "Kill it (what = \"kill\"): the pod in its place has another address. Or run this one in a lab.",
        )),
        Fault::Fail { .. } => Err((
            "no overlay has another streamer that stands by",
            "Kill it (what = \"kill\"), or run this one in a lab.",
        )),
        Fault::Outage {
            cluster: ClusterName::B,
            ..
        } if layout.b.is_none() => Err((
            "everything is applied to cluster A, network policies too",
            "Cut that off: cluster = \"a\".",
        )),
        Fault::Drain { who, .. }
            if who.who() == Ok(Role::Streamer) && layout.offloading.is_some() =>
        {
            Err((
                "in cluster A, to which everything is applied, the streamer's node is the virtual one of Liqo",
                "Drain that of renderer or client, or leave it out.",
            ))
        }
        Fault::Kill { .. } | Fault::Outage { .. } | Fault::Drain { .. } => Ok(()),
    }
}

impl Layout {
    /// The cluster to which a role is applied.
    pub(super) fn cluster_of(&self, role: Role) -> ClusterName {
        match (role, self.b) {
            (Role::Streamer, Some(b)) => b.cluster,
            _ => ClusterName::A,
        }
    }

    /// Whether a cluster is cut off in the course of a scenario, and whether a node of it is drained.
    pub(super) fn suffers(&self, scenario: &Scenario, name: ClusterName) -> (bool, bool) {
        let mut faults = scenario.fault.iter();
        let cuts = faults
            .clone()
            .any(|fault| matches!(fault, Fault::Outage { cluster, .. } if *cluster == name));
        let drains = faults.any(|fault| match fault {
            Fault::Drain { who, .. } => who.who().map(|role| self.cluster_of(role)) == Ok(name),
            _ => false,
        });
        (cuts, drains)
    }
}

/// A strip of a reference, with its header.
const BAND_BYTES: f64 = (2 * BAND_WIDTH * BAND_HEIGHT + 64) as f64;

/// How long a reference may play before and after what counts, seconds.
const START_AND_END_S: f64 = 30.0;

const ONLY: &str = "Choose other scenarios by --only, or run this one in a lab.";

/// Whether the renderer's pod may have the source: a film must be below one of the folders that are mounted in it.
pub(super) fn check_source(scenario: &Scenario, mounted: &[&Path]) -> Result<(), ConfigError> {
    let SourceSpec::File(path) = &scenario.source else {
        return Ok(());
    };
    if mounted.iter().any(|folder| path.starts_with(folder)) {
        return Ok(());
    }
    let why = "the renderer's pod has no such file: nothing is mounted there";
    let remedy = "Mount the film in k8s/base/renderer, or `--set source=test` for a test pattern.";
    let key = format!("scenario {}.source with --place kube", scenario.name);
    Err(ConfigError::new(
        key,
        scenario.source.to_string(),
        why,
        remedy,
    ))
}

#[cfg(test)]
mod tests {
    use settings::Span;

    use super::*;
    use crate::scenario::Victim;

    fn scenario(fabric: Fabric) -> Scenario {
        Scenario {
            name: "s".into(),
            fabric,
            ..Scenario::default()
        }
    }

    #[test]
    fn each_overlay_of_a_layout_is_there() {
        let overlays = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/overlays");
        for (fabric, quic) in [
            (Fabric::Single, false),
            (Fabric::Nodeport, false),
            (Fabric::NodeportLocal, false),
            (Fabric::Liqo, false),
            (Fabric::Single, true),
            (Fabric::Nodeport, true),
        ] {
            let layout = layout(fabric, quic).expect("a layout");
            for overlay in [Some(layout.a), layout.b, layout.offloading]
                .into_iter()
                .flatten()
            {
                let file = overlays.join(overlay.path).join("kustomization.yaml");
                assert!(file.is_file(), "{}", file.display());
            }
        }
    }

    #[test]
    fn what_clusters_cannot_do_is_refused_with_its_key() {
        assert!(check(&scenario(Fabric::Nodeport)).is_ok());
        let refused = |scenario: Scenario, key: &str| {
            let error = check(&scenario).expect_err(key).to_string();
            assert!(error.contains(key), "{error}");
        };
        refused(scenario(Fabric::Host), "s.fabric");
        refused(scenario(Fabric::LiqoV0_10), "s.fabric");
        let quic = |fabric| Scenario {
            transport: Transport::QuicStream,
            ..scenario(fabric)
        };
        assert!(check(&quic(Fabric::Nodeport)).is_ok());
        refused(quic(Fabric::Liqo), "s.fabric");
        let mut other = scenario(Fabric::Single);
        other.pipeline = settings::Pipeline::Reference;
        assert!(check(&other).is_ok());
        other.clients = 2;
        refused(other.clone(), "s.clients");
        other.clients = 1;
        other.duration = Span::seconds(600);
        refused(other, "s.duration");
        let mut hoarding = scenario(Fabric::Single);
        hoarding.ocr.max_frames = 10_000;
        refused(hoarding, "s.ocr.max_frames");
        let kill = |who| Fault::Kill {
            at: Span::seconds(1),
            who,
        };
        let mut faulty = scenario(Fabric::Liqo);
        faulty.fault = vec![kill(Victim::Client), kill(Victim::GatewayA)];
        refused(faulty.clone(), "s.fault");
        faulty.fault.truncate(1);
        assert!(check(&faulty).is_ok());
    }

    #[test]
    fn a_cluster_is_cut_off_and_a_node_drained_where_that_can_be_done() {
        let (at, lasts) = (Span::seconds(1), Span::seconds(4));
        let outage = |cluster| Fault::Outage { at, lasts, cluster };
        let drain = |who| Fault::Drain { at, lasts, who };
        let with = |fabric, fault| Scenario {
            fault: vec![fault],
            ..scenario(fabric)
        };
        let (a, b) = (ClusterName::A, ClusterName::B);
        for (fault, suffers) in [
            (outage(a), [(true, false), (false, false)]),
            (outage(b), [(false, false), (true, false)]),
            (drain(Victim::Client), [(false, true), (false, false)]),
            (drain(Victim::Streamer), [(false, false), (false, true)]),
        ] {
            let with = with(Fabric::Nodeport, fault);
            let layout = check(&with).expect("it can be done");
            assert_eq!([a, b].map(|name| layout.suffers(&with, name)), suffers);
        }
        for (fault, word) in [
            (outage(b), "cluster = \"a\""),
            (drain(Victim::Streamer), "virtual"),
        ] {
            let error = check(&with(Fabric::Liqo, fault)).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(check(&with(Fabric::Liqo, outage(a))).is_ok());
    }

    #[test]
    fn a_film_must_be_mounted() {
        let mut film = scenario(Fabric::Single);
        assert!(check_source(&film, &[]).is_ok());
        film.source = "file:/films/a.mp4".parse().expect("a source");
        let error = check_source(&film, &[Path::new("/tmp")]).expect_err("not mounted");
        assert!(error.to_string().contains("--set source=test"), "{error}");
        assert!(check_source(&film, &[Path::new("/films")]).is_ok());
    }
}
