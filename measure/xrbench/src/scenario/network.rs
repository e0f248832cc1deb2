//! What connects the parts of a scenario: the fabric between the clusters, the WAN under it, and what is done to them on
//! purpose while a repetition runs.

use serde::{Deserialize, Serialize};
use testbed::local::plan;
use testbed::wan::{self, Jitter, Loss, Wan};

use super::choice::choice;
use super::{Bitrate, Scenario, Span};

choice!(
    /// What connects the pods.
    #[derive(Default)]
    Fabric {
        /// No lab: processes of this host, on loopback.
        #[default]
        Host = "host",
        /// One cluster.
        Single = "single",
        /// Two clusters, kube-proxy's NodePort between them, `externalTrafficPolicy: Cluster`.
        NodePort = "nodeport",
        /// The same, `externalTrafficPolicy: Local`.
        NodePortLocal = "nodeport-local",
        /// Two clusters joined by Liqo v1.2's data path.
        Liqo = "liqo",
        /// Two clusters joined by that of Liqo v0.10, which the paper measured.
        LiqoV0_10 = "liqo-v0.10",
    }
);

choice!(
    /// What stands in front of the streamer's pod.
    #[derive(Default)]
    Service {
        /// kube-proxy's ClusterIP rule.
        #[default]
        ClusterIp = "clusterip",
        /// The pod's own address.
        Headless = "headless",
    }
);

choice!(
    /// A cluster.
    #[derive(Default)]
    ClusterName {
        /// The client's.
        #[default]
        A = "a",
        /// The streamer's.
        B = "b",
    }
);

choice!(
    /// The distribution of the WAN's jitter.
    #[derive(Default)]
    Distribution {
        /// Even.
        Uniform = "uniform",
        /// Normal: `jitter` is the standard deviation.
        #[default]
        Normal = "normal",
        /// Pareto's: rare long delays.
        Pareto = "pareto",
    }
);

choice!(
    /// What is done on purpose.
    What {
        /// The WAN carries nothing for a while.
        Outage = "outage",
        /// A process is killed by SIGKILL and started again.
        Kill = "kill",
    }
);

impl Fabric {
    /// Whether it needs a lab of network namespaces.
    pub fn is_lab(self) -> bool {
        self != Self::Host
    }

    /// Whether there are two clusters.
    pub fn has_wan(self) -> bool {
        !matches!(self, Self::Host | Self::Single)
    }

    /// The testbed's word; none for the host.
    pub fn plan(self) -> Option<plan::Fabric> {
        use plan::{Liqo, TrafficPolicy};
        Some(match self {
            Self::Host => return None,
            Self::Single => plan::Fabric::Single,
            Self::NodePort => plan::Fabric::NodePort(TrafficPolicy::Cluster),
            Self::NodePortLocal => plan::Fabric::NodePort(TrafficPolicy::Local),
            Self::Liqo => plan::Fabric::Liqo(Liqo::V1_2),
            Self::LiqoV0_10 => plan::Fabric::Liqo(Liqo::V0_10),
        })
    }
}

impl Service {
    /// The testbed's word.
    pub const fn plan(self) -> plan::Service {
        match self {
            Self::ClusterIp => plan::Service::ClusterIp,
            Self::Headless => plan::Service::Headless,
        }
    }
}

/// The WAN between the clusters: a preset, and what differs from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WanKeys {
    /// Where to begin; without it, at a WAN that does nothing.
    pub preset: Option<String>,
    /// Both directions.
    #[serde(flatten)]
    pub both: DirectionKeys,
    /// Only from cluster A to cluster B.
    pub a_to_b: Option<DirectionKeys>,
    /// Only from cluster B to cluster A.
    pub b_to_a: Option<DirectionKeys>,
}

/// What a direction of the WAN does; what is not said stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DirectionKeys {
    /// One way.
    pub delay: Option<Span>,
    /// How far the delay varies.
    pub jitter: Option<Span>,
    /// How it varies.
    pub distribution: Option<Distribution>,
    /// Packets lost, in percent.
    pub loss_percent: Option<f64>,
    /// Packets lost in a row, on average; 1 for one by one.
    pub loss_burst: Option<f64>,
    /// Packets that overtake, in percent.
    pub reorder_percent: Option<f64>,
    /// Bits a second.
    pub rate: Option<Bitrate>,
    /// Bytes that wait for the rate.
    pub queue_bytes: Option<u64>,
}

/// Something that is done on purpose in every repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When, from the beginning of the measured time.
    pub at: Span,
    /// What.
    pub what: What,
    /// How long an outage lasts.
    #[serde(default)]
    pub lasts: Option<Span>,
    /// Which process is killed: `gateway-a`, `gateway-b`, `renderer`, `streamer`, `client`.
    #[serde(default)]
    pub who: Option<String>,
}

/// Bytes that wait where a rate is given without a queue: a tenth of a second of it.
const QUEUE_SECONDS: f64 = 0.1;

impl WanKeys {
    /// What the testbed makes of it; an error names the key and what would be right.
    pub fn wan(&self) -> Result<Wan, (String, String)> {
        let mut wan = match &self.preset {
            None => Wan::default(),
            Some(name) => {
                Wan::preset(name).map_err(|error| ("wan.preset".to_owned(), error.to_string()))?
            }
        };
        let directions = [("a_to_b", &self.a_to_b), ("b_to_a", &self.b_to_a)];
        for (direction, (name, own)) in [&mut wan.a_to_b, &mut wan.b_to_a]
            .into_iter()
            .zip(directions)
        {
            self.both.apply(direction, "wan")?;
            if let Some(own) = own {
                own.apply(direction, &format!("wan.{name}"))?;
            }
            direction
                .check()
                .map_err(|error| (format!("wan.{name}"), error.to_string()))?;
        }
        Ok(wan)
    }

    /// Every key, for the list of known ones.
    pub(super) fn example() -> Self {
        let direction = DirectionKeys::example();
        Self {
            preset: Some(String::new()),
            both: direction.clone(),
            a_to_b: Some(direction.clone()),
            b_to_a: Some(direction),
        }
    }
}

impl DirectionKeys {
    fn apply(&self, to: &mut wan::Direction, path: &str) -> Result<(), (String, String)> {
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
            return Err((format!("{path}.distribution"), why.to_owned()));
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
            return Err((format!("{path}.loss_burst"), why.to_owned()));
        }
        if let Some(reorder) = self.reorder_percent {
            to.reorder_percent = reorder;
        }
        if let Some(rate) = &self.rate {
            to.rate_bps = Some(rate.bps());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is at most 10^9"
            )]
            let queue = (rate.bps() as f64 / 8.0 * QUEUE_SECONDS) as u64;
            to.queue_bytes = queue.max(16 << 10);
        }
        if let Some(queue) = self.queue_bytes {
            to.queue_bytes = queue;
        }
        Ok(())
    }

    fn example() -> Self {
        Self {
            delay: Some(Span::seconds(0)),
            jitter: Some(Span::seconds(0)),
            distribution: Some(Distribution::Normal),
            loss_percent: Some(0.0),
            loss_burst: Some(1.0),
            reorder_percent: Some(0.0),
            rate: Some("1M".parse().expect("a rate")),
            queue_bytes: Some(0),
        }
    }
}

impl Fault {
    /// Whether it can be done to this scenario; an error has key, value, and what would be right.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), (String, String, String)> {
        let wrong = |key: &str, value: &str, why: &str| {
            Err((format!("fault.{key}"), value.to_owned(), why.to_owned()))
        };
        if self.at >= scenario.duration {
            let why = format!("the measured time ends after {}", scenario.duration);
            return wrong("at", &self.at.to_string(), &why);
        }
        match (self.what, &self.lasts, self.who.as_deref()) {
            (What::Outage, Some(_), None) if scenario.fabric.has_wan() => Ok(()),
            (What::Outage, Some(_), None) => wrong(
                "what",
                "outage",
                "it is the WAN's, and this fabric has none",
            ),
            (What::Outage, _, _) => wrong("lasts", "", "an outage needs `lasts`, and no `who`"),
            (What::Kill, None, Some("renderer" | "streamer" | "client")) => Ok(()),
            (What::Kill, None, Some("gateway-a" | "gateway-b"))
                if matches!(scenario.fabric, Fabric::Liqo | Fabric::LiqoV0_10) =>
            {
                Ok(())
            }
            (What::Kill, _, who) => wrong(
                "who",
                who.unwrap_or_default(),
                "a kill needs `who`: renderer, streamer or client, or gateway-a or gateway-b of fabric liqo; no `lasts`",
            ),
        }
    }

    pub(super) fn example() -> Self {
        Self {
            at: Span::seconds(1),
            what: What::Outage,
            lasts: Some(Span::seconds(1)),
            who: Some(String::new()),
        }
    }
}
