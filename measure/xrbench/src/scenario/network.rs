//! What connects the parts of a scenario: the fabric between the clusters, the WAN under it, and what is done to them on
//! purpose while a repetition runs.

use serde::{Deserialize, Serialize};
use settings::{BitsPerSecond, ClusterName, Role, Span};
use strum::{Display, VariantArray};
use testbed::local::plan;
use testbed::wan::{self, Jitter, Loss, NotPossible, Wan};

use super::error::CheckError;
use super::ranges;

/// What connects the pods.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Display, VariantArray, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Fabric {
    /// No lab: processes of this host, on loopback.
    #[default]
    Host,
    /// A single cluster.
    Single,
    /// Two clusters, kube-proxy's NodePort between them, `externalTrafficPolicy: Cluster`.
    Nodeport,
    /// Two clusters, kube-proxy's NodePort between them, `externalTrafficPolicy: Local`.
    NodeportLocal,
    /// Two clusters joined by Liqo v1.2's data path.
    Liqo,
    /// Two clusters joined by the data path of Liqo v0.10, which the paper measured.
    #[serde(rename = "liqo-v0.10")]
    #[strum(to_string = "liqo-v0.10")]
    LiqoV0_10,
    /// Two clusters whose tunnel routers carry packets to one address of the service, by LISP.
    Lisp,
}

/// What stands in front of the streamer's pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// A ClusterIP, by kube-proxy's rule.
    #[default]
    ClusterIp,
    /// The pod's own address.
    Headless,
}

/// The distribution of the WAN's jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// A uniform distribution.
    Uniform,
    /// Normal: `jitter` is the standard deviation.
    #[default]
    Normal,
    /// Pareto's: rare long delays.
    Pareto,
}

impl Fabric {
    /// Whether the testbed makes a lab of network namespaces for this fabric.
    pub const fn is_lab(self) -> bool {
        self.plan().is_some()
    }

    /// Whether Liqo joins its clusters.
    pub const fn is_liqo(self) -> bool {
        matches!(self, Self::Liqo | Self::LiqoV0_10)
    }

    /// Whether a gateway or tunnel router of each cluster carries its packets to the other.
    pub const fn has_gateways(self) -> bool {
        self.is_liqo() || matches!(self, Self::Lisp)
    }

    /// Whether a service has one address in several clusters.
    pub const fn shares_services(self) -> bool {
        matches!(self, Self::Lisp)
    }

    /// Whether there are two clusters.
    pub const fn has_wan(self) -> bool {
        matches!(
            self,
            Self::Nodeport | Self::NodeportLocal | Self::Liqo | Self::LiqoV0_10 | Self::Lisp
        )
    }

    /// The lab that the testbed makes for this fabric; none for the host.
    pub const fn plan(self) -> Option<plan::Fabric> {
        use plan::{Liqo, TrafficPolicy};
        Some(match self {
            Self::Host => return None,
            Self::Single => plan::Fabric::Single,
            Self::Nodeport => plan::Fabric::NodePort(TrafficPolicy::Cluster),
            Self::NodeportLocal => plan::Fabric::NodePort(TrafficPolicy::Local),
            Self::Liqo => plan::Fabric::Liqo(Liqo::V1_2),
            Self::LiqoV0_10 => plan::Fabric::Liqo(Liqo::V0_10),
            Self::Lisp => plan::Fabric::Lisp,
        })
    }
}

impl Service {
    /// Whether the pod's own address is dialled.
    pub const fn is_headless(self) -> bool {
        matches!(self, Self::Headless)
    }

    /// The testbed's name of the service.
    pub const fn plan(self) -> plan::Service {
        match self {
            Self::ClusterIp => plan::Service::ClusterIp,
            Self::Headless => plan::Service::Headless,
        }
    }
}

/// The WAN between the clusters: a preset, and what differs from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WanKeys {
    /// The preset to begin with; without one, a WAN that does nothing.
    pub preset: Option<String>,
    /// The one-way delay.
    pub delay: Option<Span>,
    /// How far the delay varies.
    pub jitter: Option<Span>,
    /// How the delay varies.
    pub distribution: Option<Distribution>,
    /// Packets lost, in percent.
    #[serde(deserialize_with = "ranges::percent")]
    pub loss_percent: Option<f64>,
    /// Packets lost in a row, on average; 1 for one by one.
    #[serde(deserialize_with = "ranges::burst")]
    pub loss_burst: Option<f64>,
    /// Packets that overtake, in percent.
    #[serde(deserialize_with = "ranges::percent")]
    pub reorder_percent: Option<f64>,
    /// The rate in bits a second.
    pub rate: Option<BitsPerSecond>,
    /// Bytes that wait for the rate.
    pub queue_bytes: Option<u64>,
    /// Only from cluster A to cluster B.
    pub a_to_b: Option<DirectionKeys>,
    /// Only from cluster B to cluster A.
    pub b_to_a: Option<DirectionKeys>,
}

/// What a direction of the WAN does: keys of [`WanKeys`]. What is not said stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "each is documented in WanKeys")]
pub struct DirectionKeys {
    pub delay: Option<Span>,
    pub jitter: Option<Span>,
    pub distribution: Option<Distribution>,
    #[serde(deserialize_with = "ranges::percent")]
    pub loss_percent: Option<f64>,
    #[serde(deserialize_with = "ranges::burst")]
    pub loss_burst: Option<f64>,
    #[serde(deserialize_with = "ranges::percent")]
    pub reorder_percent: Option<f64>,
    pub rate: Option<BitsPerSecond>,
    pub queue_bytes: Option<u64>,
}

/// Something that is done on purpose in every repetition, `at` a time from the beginning of the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the variants say it")]
pub enum Fault {
    /// Nothing crosses between the clusters while this `lasts`: a lab's WAN carries nothing; on Kubernetes one `cluster` is cut
    /// off from everything outside of it.
    Outage {
        at: Span,
        lasts: Span,
        #[serde(default)]
        cluster: ClusterName,
    },
    /// The node under a service takes no pods and loses those of the run while this `lasts`.
    Drain { at: Span, lasts: Span, who: Victim },
    /// A process is killed by SIGKILL and started again.
    Kill { at: Span, who: Victim },
    /// A process is killed by SIGKILL, and stays dead: the streamer, where another one stands by.
    Fail { at: Span, who: Victim },
    /// A pod of a lab gets another address and loses the one that it has; with the next move it gets that back.
    Move { at: Span, who: Victim },
}

/// Whom a fault befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the name of a process")]
pub enum Victim {
    Renderer,
    Streamer,
    Client,
    GatewayA,
    GatewayB,
}

impl Victim {
    /// The service, or else the cluster whose gateway it is.
    pub const fn who(self) -> Result<Role, ClusterName> {
        match self {
            Self::Renderer => Ok(Role::Renderer),
            Self::Streamer => Ok(Role::Streamer),
            Self::Client => Ok(Role::Client),
            Self::GatewayA => Err(ClusterName::A),
            Self::GatewayB => Err(ClusterName::B),
        }
    }
}

/// Bytes that wait where a rate is given without a queue: a tenth of a second of it.
const QUEUE_SECONDS: f64 = 0.1;

impl WanKeys {
    /// What the testbed makes of it.
    pub fn wan(&self) -> Result<Wan, CheckError> {
        let mut wan = match &self.preset {
            None => Wan::default(),
            Some(name) => Wan::preset(name)
                .map_err(|error| CheckError::new("wan.preset", name, error.to_string()))?,
        };
        let both = self.both();
        let directions = [("a_to_b", &self.a_to_b), ("b_to_a", &self.b_to_a)];
        for (direction, (name, own)) in [&mut wan.a_to_b, &mut wan.b_to_a]
            .into_iter()
            .zip(directions)
        {
            both.apply(direction, "wan")?;
            if let Some(own) = own {
                own.apply(direction, &format!("wan.{name}"))?;
            }
            direction.check().map_err(|error| {
                let (key, value) = refused(&error, direction);
                let path = match own {
                    Some(own) if own.has(key) => format!("wan.{name}.{key}"),
                    _ => format!("wan.{key}"),
                };
                CheckError::new(path, &value, error.to_string())
            })?;
        }
        Ok(wan)
    }

    /// What holds for both directions.
    fn both(&self) -> DirectionKeys {
        DirectionKeys {
            delay: self.delay,
            jitter: self.jitter,
            distribution: self.distribution,
            loss_percent: self.loss_percent,
            loss_burst: self.loss_burst,
            reorder_percent: self.reorder_percent,
            rate: self.rate,
            queue_bytes: self.queue_bytes,
        }
    }
}

/// The key that a link refuses, and its value.
fn refused(error: &NotPossible, direction: &wan::Direction) -> (&'static str, String) {
    match error {
        NotPossible::Percent {
            what: "loss",
            percent,
        } => ("loss_percent", percent.to_string()),
        NotPossible::Percent { percent, .. } => ("reorder_percent", percent.to_string()),
        NotPossible::Bursts { mean_length, .. } => ("loss_burst", mean_length.to_string()),
        NotPossible::Queue { queue_bytes } => ("queue_bytes", queue_bytes.to_string()),
        NotPossible::Delay(long) if direction.delay == *long => ("delay", Span(*long).to_string()),
        NotPossible::Delay(long) => ("jitter", Span(*long).to_string()),
        _ => ("rate", direction.rate_bps.unwrap_or(0).to_string()),
    }
}

impl DirectionKeys {
    /// Whether it says something of this key.
    fn has(&self, key: &str) -> bool {
        match key {
            "delay" => self.delay.is_some(),
            "jitter" => self.jitter.is_some(),
            "loss_percent" => self.loss_percent.is_some(),
            "loss_burst" => self.loss_burst.is_some(),
            "reorder_percent" => self.reorder_percent.is_some(),
            "rate" => self.rate.is_some(),
            "queue_bytes" => self.queue_bytes.is_some(),
            _ => false,
        }
    }

    fn apply(&self, to: &mut wan::Direction, path: &str) -> Result<(), CheckError> {
        if let Some(delay) = self.delay {
            to.delay = delay.0;
        }
        if let Some(jitter) = self.jitter {
            let by = match self.distribution.unwrap_or_default() {
                Distribution::Uniform => Jitter::Uniform,
                Distribution::Normal => Jitter::Normal,
                Distribution::Pareto => Jitter::Pareto,
            };
            to.jitter = (!jitter.0.is_zero()).then(|| by(jitter.0));
        } else if self.distribution.is_some() {
            let why = "a distribution needs a jitter beside it, such as jitter = \"1ms\"";
            return Err(CheckError::new(format!("{path}.distribution"), &"", why));
        }
        if let Some(loss) = self.loss_percent {
            let burst = self.loss_burst.unwrap_or(1.0);
            to.loss = (loss != 0.0).then_some(if burst > 1.0 {
                Loss::Bursts {
                    percent: loss,
                    mean_length: burst,
                }
            } else {
                Loss::Random { percent: loss }
            });
        } else if self.loss_burst.is_some() {
            let why = "it needs loss_percent beside it";
            return Err(CheckError::new(format!("{path}.loss_burst"), &"", why));
        }
        if let Some(reorder) = self.reorder_percent {
            to.reorder_percent = reorder;
        }
        if let Some(rate) = &self.rate {
            to.rate_bps = Some(rate.get());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is at most 10^11"
            )]
            let queue = (rate.get() as f64 / 8.0 * QUEUE_SECONDS) as u64;
            to.queue_bytes = queue.max(16 << 10);
        }
        if let Some(queue) = self.queue_bytes {
            to.queue_bytes = queue;
        }
        Ok(())
    }
}

impl Fault {
    /// When it happens, from the beginning of the measured time.
    pub const fn at(&self) -> Span {
        match self {
            Self::Outage { at, .. }
            | Self::Drain { at, .. }
            | Self::Kill { at, .. }
            | Self::Fail { at, .. }
            | Self::Move { at, .. } => *at,
        }
    }
}
