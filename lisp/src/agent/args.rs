//! The command line of `xr-lisp agent`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::{ClientConfig, RootCertStore};
use service::args::{Common, listen_address, whole};
use service::{ConfigError, TokenArgs};

use super::machine::{Config, Probing};
use super::objects::ProbeKind;
use crate::services::check_label;
use crate::tls::{self, Identity, PemFile};
use crate::wire::Locator;

const EXAMPLES: &str = "\
Examples:
  The agent of cluster seoul, as k8s/lisp starts it in the cluster:
    xr-lisp agent --cluster seoul --control https://10.0.0.9:4381 --locator 10.0.0.11 \\
      --tls-cert agent.crt --tls-key agent.key --control-ca control-ca.crt
  The same outside of it, for trying out; the webhook's configuration has its address:
    xr-lisp agent --cluster seoul --control http://127.0.0.1:4380 --token-file token \\
      --locator 10.0.0.11 --kubeconfig admin.kubeconfig --webhook 0.0.0.0:9443 \\
      --webhook-name 10.0.0.5
  A Service that has one address in every cluster, and is probed by its pods' readiness page:
    kubectl create service clusterip cart --tcp 8080 --dry-run=client --output yaml |
      kubectl label --local --filename - --output yaml xrbench.io/shared=true |
      kubectl create --filename -
    kubectl annotate service cart xrbench.io/probe=http:8080/ready

docs/lisp.md says what it does, what it needs, and what happens when it is gone.";

/// The agent of a cluster: addresses for its Services, and where they run.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9098")))]
pub struct AgentArgs {
    /// Name of the cluster, which is that of its site at the control plane
    #[arg(long, env = "XR_LISP_CLUSTER", value_name = "NAME", value_parser = cluster_name)]
    pub(super) cluster: String,
    /// Where the cluster's tunnel routers are, as services are registered there
    #[arg(
        long = "locator",
        env = "XR_LISP_LOCATORS",
        value_name = "ADDR[@PRIORITY/WEIGHT]",
        value_delimiter = ',',
        required = true
    )]
    pub(super) locators: Vec<Locator>,
    /// Say each review and each request about a Service in a line of JSON on standard output, with the time on `CLOCK_MONOTONIC`
    #[arg(long, env = "XR_LISP_EVENTS")]
    pub(super) events: bool,
    #[command(flatten)]
    pub(super) control: ControlArgs,
    #[command(flatten)]
    pub(super) cluster_args: ClusterArgs,
    #[command(flatten)]
    pub(super) webhook: WebhookArgs,
    #[command(flatten)]
    pub(super) watching: WatchingArgs,
    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,
}

/// The control plane.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Control plane")]
pub(crate) struct ControlArgs {
    /// URL of the control plane's API: https for its --agents, http for its --api on this machine
    #[arg(long, env = "XR_LISP_CONTROL", value_name = "URL")]
    control: Uri,
    #[command(flatten)]
    token: TokenArgs,
    /// Certificate that names the cluster as a DNS name, in PEM; read again now and then
    #[arg(long, env = "XR_LISP_TLS_CERT", value_name = "FILE", requires_all = ["tls_key", "control_ca"])]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate
    #[arg(
        long,
        env = "XR_LISP_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
    /// Authority that vouches for the control plane's certificate
    #[arg(
        long,
        env = "XR_LISP_CONTROL_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    control_ca: Option<PathBuf>,
    /// Milliseconds between two heartbeats; after three missing ones the cluster counts as lost, and others serve
    #[arg(long, env = "XR_LISP_HEARTBEAT_MS", value_name = "MS", default_value_t = 200, value_parser = whole::<u16>(50..=20_000))]
    heartbeat_ms: u16,
    /// Seconds that the cluster still counts as there after this agent was asked to stop, for the next one to start in
    #[arg(long, env = "XR_LISP_HANDOVER_S", value_name = "S", default_value_t = 30, value_parser = whole::<u16>(0..=180))]
    handover_s: u16,
}

/// The cluster's API server.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterArgs {
    /// How the API server is reached; without one, as a pod reaches it, or else by KUBECONFIG or ~/.kube/config
    #[arg(long, env = "XR_LISP_KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Context in it, if not the current one
    #[arg(
        long,
        env = "XR_LISP_CONTEXT",
        value_name = "NAME",
        requires = "kubeconfig"
    )]
    pub(super) context: Option<String>,
}

/// The admission webhook.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Webhook")]
pub(crate) struct WebhookArgs {
    /// Where the API server's reviews come in
    #[arg(long, env = "XR_LISP_WEBHOOK", value_name = "ADDR:PORT", default_value = "0.0.0.0:9443", value_parser = listen_address)]
    pub(super) webhook: SocketAddr,
    /// Names and addresses by which the API server calls it: what its certificate is made for
    #[arg(
        long,
        env = "XR_LISP_WEBHOOK_NAMES",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "xr-lisp-agent.xr-lisp.svc"
    )]
    pub(super) webhook_name: Vec<String>,
    /// Name of the `MutatingWebhookConfiguration` and of the `ValidatingWebhookConfiguration` that are to believe the certificate
    #[arg(
        long,
        env = "XR_LISP_WEBHOOK_CONFIGURATION",
        value_name = "NAME",
        default_value = "xr-lisp"
    )]
    pub(super) webhook_configuration: String,
    /// Namespaces whose Services are let through untouched: that of the agent itself, and what the cluster needs to come up
    #[arg(
        long,
        env = "XR_LISP_EXCEPTED",
        value_name = "NAMESPACE",
        value_delimiter = ',',
        default_value = "kube-system,xr-lisp"
    )]
    pub(super) excepted: Vec<String>,
    /// Days that a certificate of the webhook is good for; the next one comes when two thirds are over
    #[arg(long, env = "XR_LISP_CERTIFICATE_DAYS", value_name = "DAYS", default_value_t = 30, value_parser = whole::<u16>(1..=365))]
    certificate_days: u16,
}

/// Endpoints and their probes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Endpoints")]
pub(crate) struct WatchingArgs {
    /// How ready pods are probed where the Service has no annotation xrbench.io/probe: tcp, tcp:PORT, `http:PORT/PATH` or none
    #[arg(
        long,
        env = "XR_LISP_PROBE",
        value_name = "PROBE",
        default_value = "tcp"
    )]
    probe: ProbeKind,
    /// Milliseconds between two probes of a pod
    #[arg(long, env = "XR_LISP_PROBE_INTERVAL_MS", value_name = "MS", default_value_t = 100, value_parser = whole::<u16>(20..=10_000))]
    probe_interval_ms: u16,
    /// Milliseconds that an answer may take
    #[arg(long, env = "XR_LISP_PROBE_TIMEOUT_MS", value_name = "MS", default_value_t = 100, value_parser = whole::<u16>(10..=10_000))]
    probe_timeout_ms: u16,
    /// Probes in a row without an answer after which a pod is down
    #[arg(long, env = "XR_LISP_PROBE_FAILURES", value_name = "N", default_value_t = 2, value_parser = whole::<u16>(1..=100))]
    probe_failures: u16,
    /// Pods that are probed at most; of others what Kubernetes says counts
    #[arg(
        long,
        env = "XR_LISP_MOST_PROBED",
        value_name = "N",
        default_value_t = 2_000,
        value_parser = whole::<usize>(0..=usize::MAX)
    )]
    most_probed: usize,
    /// Milliseconds that pods which are no longer ready, but answer, are used where no other cluster has the Service
    #[arg(
        long,
        env = "XR_LISP_DRAIN_MS",
        value_name = "MS",
        default_value_t = 2_000,
        value_parser = whole::<u32>(0..=u32::MAX)
    )]
    drain_ms: u32,
    /// Seconds after which an address is given back whose Service never came
    #[arg(long, env = "XR_LISP_GRACE_S", value_name = "S", default_value_t = 60, value_parser = whole::<u16>(0..=u16::MAX))]
    grace_s: u16,
}

pub(super) fn cluster_name(text: &str) -> Result<String, String> {
    check_label(text, "name of a cluster")
        .map(|()| text.to_owned())
        .map_err(|error| error.to_string())
}

const CONTROL_ORIGIN: &str = "--control (XR_LISP_CONTROL)";
const CERT_ORIGIN: &str = "--tls-cert (XR_LISP_TLS_CERT)";

impl ControlArgs {
    /// The URL without its path, checked.
    pub(super) fn base(&self) -> Result<String, ConfigError> {
        let wrong = |why: &str, remedy: &str| {
            ConfigError::new(CONTROL_ORIGIN, self.control.to_string(), why, remedy)
        };
        let scheme = self.control.scheme_str().unwrap_or_default();
        let authority = self.control.authority();
        if authority.is_some_and(|authority| authority.as_str().contains('@')) {
            let remedy = "Give a token by --token-file or XR_TOKEN.";
            return Err(wrong("it holds a user, which process lists show", remedy));
        }
        let host = authority.filter(|_| self.control.path() == "/");
        let (Some(host), "http" | "https") = (host, scheme) else {
            let remedy = "Give https://HOST:4381, or http://127.0.0.1:4380 on its own machine.";
            return Err(wrong("it is no address of a control plane", remedy));
        };
        if (scheme == "https") != self.tls_cert.is_some() {
            let remedy = "Give --tls-cert, --tls-key and --control-ca with https, and none of them with http.";
            return Err(wrong("mutual TLS takes https and a certificate", remedy));
        }
        Ok(format!("{scheme}://{host}"))
    }

    /// The bearer token, as a header that no log shows.
    pub(super) fn authorization(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let Some(token) = self.token.load()? else {
            return Ok(None);
        };
        let value = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
        let mut value = value.map_err(|_| {
            ConfigError::new(
                "--token-file (XR_TOKEN_FILE)",
                "***",
                "it fits no header",
                "Give a token of visible ASCII characters.",
            )
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// The TLS towards the control plane: whom it believes, and the certificate that it shows.
    pub(super) fn tls(&self) -> Result<ClientConfig, ConfigError> {
        let file = |path, origin| PemFile { path, origin };
        let wrong = |value: &str, error: &rustls::Error| {
            let remedy = "Give the certificate that belongs to --tls-key.";
            ConfigError::new(CERT_ORIGIN, value, error.to_string(), remedy)
        };
        let (Some(cert), Some(key), Some(ca)) = (&self.tls_cert, &self.tls_key, &self.control_ca)
        else {
            return tls::client_of_nobody(RootCertStore::empty())
                .map_err(|error| wrong(&self.control.to_string(), &error));
        };
        let key = file(key, "--tls-key (XR_LISP_TLS_KEY)");
        let identity = Identity::load(file(cert, CERT_ORIGIN), key)?;
        let servers = file(ca, "--control-ca (XR_LISP_CONTROL_CA)").roots()?;
        tls::client(identity, servers).map_err(|error| wrong(&cert.display().to_string(), &error))
    }

    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms.into())
    }

    pub(super) fn handover(&self) -> Duration {
        Duration::from_secs(self.handover_s.into())
    }
}

impl WebhookArgs {
    pub(super) fn certificate_life(&self) -> Duration {
        Duration::from_hours(24) * self.certificate_days.into()
    }
}

impl WatchingArgs {
    /// The configuration of the agent's machine.
    pub(super) fn config(&self) -> Config {
        Config {
            probing: Probing {
                kind: self.probe.clone(),
                interval: Duration::from_millis(self.probe_interval_ms.into()),
                failures: self.probe_failures.into(),
                most: self.most_probed,
            },
            drain: Duration::from_millis(self.drain_ms.into()),
            grace: Duration::from_secs(self.grace_s.into()),
            refresh: Duration::from_mins(10),
            at_once: 16,
        }
    }

    pub(super) fn probe_timeout(&self) -> Duration {
        Duration::from_millis(self.probe_timeout_ms.into())
    }
}
