//! The agent without a Kubernetes, for experiments: one Service with one pod, which are given to it; everything behind is the agent's own.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use service::args::whole;
use service::{Readiness, Shutdown};
use tokio::sync::mpsc;

use super::admission::Rules;
use super::args::{ControlArgs, WatchingArgs, cluster_name};
use super::controller::Controller;
use super::heartbeat::Heart;
use super::kubelet::Kubelet;
use super::machine::{Agent, Input, Target};
use super::metrics::Metrics;
use super::objects::{ProbeKind, SeenService, SeenSlice};
use super::readiness::Parts;
use super::telling::tell;
use super::work::{QUEUE, Work};
use crate::services::ServiceName;
use crate::wire::Locator;

/// One cluster with one Service.
#[derive(Clone, Debug, clap::Args)]
pub struct GivenArgs {
    /// Name of the cluster
    #[arg(long, value_name = "NAME", value_parser = cluster_name)]
    cluster: String,
    /// Where the cluster's tunnel router is
    #[arg(long = "locator", value_name = "ADDR[@PRIORITY/WEIGHT]")]
    locator: Locator,
    /// The service
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service: ServiceName,
    /// Address of the service
    #[arg(long, value_name = "ADDR")]
    address: IpAddr,
    /// Address of the pod that it runs in
    #[arg(long, value_name = "ADDR")]
    pod: IpAddr,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    watching: WatchingArgs,
    /// Play the kubelet of this process of the pod, and probe nothing: --probe is then the pod's readiness probe
    #[arg(long, value_name = "PID", value_parser = whole::<u32>(0..=u32::MAX))]
    kubelet_of: Option<u32>,
    /// Seconds between two of its readiness probes
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = whole::<u16>(0..=u16::MAX))]
    readiness_period_s: u16,
    /// Readiness probes without an answer after which the pod is not ready
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole::<u16>(0..=u16::MAX))]
    readiness_failures: u16,
    /// How much of its intervals is over at the beginning
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    phase: f64,
}

/// Runs until the shutdown, and says when its cluster is registered and withdrawn.
pub async fn run_given(args: GivenArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut config = args.watching.config();
    let kubelet = args.kubelet_of.map(|pid| Kubelet {
        pid,
        page: page(&config.probing.kind, args.pod),
        period: Duration::from_secs(args.readiness_period_s.into()),
        failures: args.readiness_failures.into(),
        phase: args.phase,
    });
    if kubelet.is_some() {
        config.probing.kind = ProbeKind::None;
    }
    let agent = format!("{}-agent", args.cluster);
    let controller = Controller::new(
        args.control.clone(),
        args.cluster,
        agent,
        vec![args.locator],
    );
    let controller = Arc::new(controller?);
    let (sender, inputs) = mpsc::channel(QUEUE);
    let metrics = Metrics::new(&mut Registry::default());
    let parts = Parts::new(Readiness::new());
    let rules = Rules {
        excepted: BTreeSet::new(),
        pools: None,
    };
    let heart = Heart {
        controller: Arc::clone(&controller),
        inputs: sender.clone(),
        rules: Arc::new(ArcSwap::from_pointee(rules)),
        parts: parts.clone(),
        metrics: metrics.clone(),
        interval: args.control.heartbeat(),
        handover: Duration::ZERO,
    };
    let beaten = tokio::spawn(heart.beat(shutdown.child()));

    let seen = SeenService {
        is_shared: true,
        address: Some(args.address),
        probe: None,
    };
    let (service, pod) = (args.service, args.pod);
    let name = service.clone();
    let slice = move |is_ready| {
        let slice = SeenSlice {
            service: service.clone(),
            endpoints: vec![(pod, is_ready)],
            port: None,
        };
        Input::Slice((service.namespace().to_owned(), "given".to_owned()), slice)
    };
    for input in [Input::Service(name, seen), slice(true), Input::Complete] {
        sender.send(input).await?;
    }
    if let Some(kubelet) = kubelet {
        let sender = sender.clone();
        tokio::spawn(async move {
            kubelet.until_unready().await;
            // Whoever has stopped listening is stopping.
            let _ = sender.send(slice(false)).await;
        });
    }
    let work = Work {
        agent: Agent::new(config),
        controller,
        inputs: sender,
        parts,
        metrics,
        probe_timeout: args.watching.probe_timeout(),
        tell,
    };
    work.run(inputs, &shutdown).await;
    // A panic of it has been printed.
    let _ = beaten.await;
    Ok(())
}

/// Where a probe of this kind goes.
fn page(kind: &ProbeKind, pod: IpAddr) -> Target {
    let (port, path) = match kind {
        ProbeKind::Http { port, path } => (*port, Some(path.clone())),
        ProbeKind::Tcp(port) => (port.unwrap_or(80), None),
        ProbeKind::None => (80, None),
    };
    Target {
        address: (pod, port).into(),
        path,
    }
}
