//! `xr-lisp agent` from its start to its drained end.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};
use service::http::{self, Limits};
use service::ops::Ops;
use service::{ConfigError, Shutdown, ready};
use tokio::sync::mpsc;

use super::admission::Rules;
use super::args::{AgentArgs, ClusterArgs};
use super::bundle::Configurations;
use super::certificates::Certificates;
use super::clock;
use super::controller::Controller;
use super::heartbeat::Heart;
use super::machine::Agent;
use super::metrics::Metrics;
use super::readiness::Parts;
use super::telling::tell;
use super::watch::{Watch, resources};
use super::webhook::{Desk, routes};
use super::work::{QUEUE, Work};
use crate::tls;

/// The name of the program.
const PROGRAM: &str = "xr-lisp";

/// How long the API server may take to be reached.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that the API server's connection may idle between two reviews: longer than it keeps one itself, so that it does not
/// send a review into a connection that is being closed.
const IDLE: Duration = Duration::from_mins(2);

/// Connections of the API server.
const CONNECTIONS: usize = 64;

/// Runs until the shutdown.
pub async fn run(args: AgentArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let ops_address = args.common.ops.context("--ops has a default")?;
    let client = connect(&args.cluster_args).await?;
    let agent = identity(&client).await?;
    let controller = Controller::new(args.control.clone(), args.cluster, agent, args.locators)?;
    let controller = Arc::new(controller);
    let life = args.webhook.certificate_life();
    let names = args.webhook.webhook_name;
    let certificates = Certificates::new(names.clone(), life, clock::now()).map_err(|error| {
        let origin = "--webhook-name (XR_LISP_WEBHOOK_NAMES)";
        let remedy = "Give names of DNS and IP addresses.";
        ConfigError::new(origin, names.join(","), error.to_string(), remedy)
    })?;
    let tls = tls::server_of_anyone(certificates.shown())?;
    let listener = http::listen(args.webhook.webhook, "--webhook (XR_LISP_WEBHOOK)")?;
    let webhook_address = listener.local_addr()?;
    let watched = resources(&client)
        .await
        .context("the API server does not tell its kinds")?;

    let mut ops = Ops::new(PROGRAM);
    let metrics = Metrics::new(&mut ops.registry);
    let limits = Limits {
        connections: CONNECTIONS,
        header_timeout: IDLE,
        ..Limits::default()
    };
    limits.counters.register(&mut ops.registry, "webhook");
    let parts = Parts::new(ops.ready.clone());
    let ops = ops.bind(ops_address, &shutdown).await?;

    let (sender, inputs) = mpsc::channel(QUEUE);
    let rules = Arc::new(ArcSwap::from_pointee(Rules {
        excepted: args.webhook.excepted.into_iter().collect(),
        pools: None,
    }));
    let desk = Arc::new(Desk {
        controller: Arc::clone(&controller),
        rules: Arc::clone(&rules),
        inputs: sender.clone(),
        metrics: metrics.clone(),
        says: args.events,
    });
    let stop = shutdown.child();
    let served = tokio::spawn(http::serve_tls(listener, tls, routes(desk), limits, stop));
    let configurations = Configurations {
        client: client.clone(),
        name: args.webhook.webhook_configuration,
    };
    let stop = shutdown.child();
    let kept = tokio::spawn(configurations.keep(certificates, parts.clone(), stop));
    let incomplete = Arc::new(AtomicUsize::new(watched.len()));
    for (kind, resource) in watched {
        // They end with whoever listens to them.
        tokio::spawn(
            Watch {
                kind,
                api: Api::all_with(client.clone(), &resource),
                inputs: sender.clone(),
                incomplete: Arc::clone(&incomplete),
                metrics: metrics.clone(),
            }
            .run(),
        );
    }
    let heart = Heart {
        controller: Arc::clone(&controller),
        inputs: sender.clone(),
        rules,
        parts: parts.clone(),
        metrics: metrics.clone(),
        interval: args.control.heartbeat(),
        handover: args.control.handover(),
    };
    let beaten = tokio::spawn(heart.beat(shutdown.child()));
    ready::announce(
        PROGRAM,
        &[
            ("ops", ops.local_addr().to_string()),
            ("webhook", webhook_address.to_string()),
        ],
    );

    let work = Work {
        agent: Agent::new(args.watching.config()),
        controller,
        inputs: sender,
        parts,
        metrics,
        probe_timeout: args.watching.probe_timeout(),
        tell: if args.events { tell } else { |_| () },
    };
    work.run(inputs, &shutdown).await;
    // What they had in flight has an end by itself; a panic of theirs has been printed.
    let _ = tokio::join!(served, kept, beaten);
    ops.stop().await;
    Ok(())
}

/// The API server, as a pod reaches it or as a kubeconfig says.
async fn connect(args: &ClusterArgs) -> anyhow::Result<Client> {
    let origin = "--kubeconfig (XR_LISP_KUBECONFIG)";
    let mut config = if let Some(path) = &args.kubeconfig {
        let wrong = |why: String| {
            let remedy = "Name a kubeconfig; `kubectl config view` shows what it has.";
            ConfigError::new(origin, path.display().to_string(), why, remedy)
        };
        let options = KubeConfigOptions {
            context: args.context.clone(),
            ..KubeConfigOptions::default()
        };
        let read = Kubeconfig::read_from(path).map_err(|error| wrong(error.to_string()))?;
        let config = Config::from_custom_kubeconfig(read, &options).await;
        config.map_err(|error| wrong(error.to_string()))?
    } else {
        Config::infer().await.map_err(|error| {
            let remedy = "Run it as a pod with a service account, or name a kubeconfig.";
            ConfigError::new(origin, "", error.to_string(), remedy)
        })?
    };
    config.connect_timeout = Some(PATIENCE);
    Client::try_from(config).context("the API server's certificates or keys cannot be used")
}

/// The name under which this agent speaks for its cluster. The namespace that every cluster has, and that lives as long as the cluster
/// does, is what tells two of one name apart; an agent that starts again has the same.
async fn identity(client: &Client) -> anyhow::Result<String> {
    let kind = GroupVersionKind::gvk("", "v1", "Namespace");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let namespace = tokio::time::timeout(PATIENCE, api.get("kube-system")).await;
    let namespace = namespace
        .context("no answer of the API server within 10 s")?
        .context(
            "the namespace kube-system cannot be read; k8s/lisp has the rights that are needed",
        )?;
    namespace
        .metadata
        .uid
        .context("the namespace kube-system has no uid")
}
