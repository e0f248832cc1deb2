//! What fails, and in which ways the client's packets come to the other cluster.

/// A fault of the cluster that is used.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Fault {
    /// The service's process is killed
    ServiceKilled,
    /// The service's process is stopped: connections are taken for it, and nothing is answered
    PodHung,
    /// The link of the pod's node goes down
    NodeCut,
    /// The link of the cluster's tunnel router goes down, with everything behind it
    ClusterCut,
}

/// In which way it is noticed, and told.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Way {
    /// The agent's probes, the control plane, a publication to the client's tunnel router
    Publication,
    /// The same, with a solicitation and a request in the place of the publication
    Smr,
    /// The same detection, a name of short life at bind9, and a client that resolves it again
    Dns,
    /// Kubernetes' own detection by a kubelet that is played, then as publication: the second paper's system
    Paper,
    /// The same detection, and a name: what the second paper compares with
    PaperDns,
    /// No agent: the client's tunnel router probes the others, once a second
    Probing,
}

/// The means by which the sender learns of another mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mapping {
    Publication,
    Solicitation,
    Name,
    Probes,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [
        Self::ServiceKilled,
        Self::PodHung,
        Self::NodeCut,
        Self::ClusterCut,
    ];

    /// The word on the command line and in figures.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 6] = [
        Self::Publication,
        Self::Smr,
        Self::Dns,
        Self::Paper,
        Self::PaperDns,
        Self::Probing,
    ];

    /// The word on the command line and in figures.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the way sees this fault. Tunnel routers see only each other. When a node or a cluster is gone, Kubernetes says so after
    /// a constant 40 s or never, which needs no measuring; what a hanging pod takes it, names do not change.
    pub fn sees(self, fault: Fault) -> bool {
        match self {
            Self::Publication | Self::Smr | Self::Dns => true,
            Self::Paper => matches!(fault, Fault::ServiceKilled | Fault::PodHung),
            Self::PaperDns => fault == Fault::ServiceKilled,
            Self::Probing => fault == Fault::ClusterCut,
        }
    }

    pub(super) const fn mapping(self) -> Mapping {
        match self {
            Self::Publication | Self::Paper => Mapping::Publication,
            Self::Smr => Mapping::Solicitation,
            Self::Dns | Self::PaperDns => Mapping::Name,
            Self::Probing => Mapping::Probes,
        }
    }

    /// Whether a kubelet is played in the place of the agent's probes.
    pub(super) const fn plays_kubelet(self) -> bool {
        matches!(self, Self::Paper | Self::PaperDns)
    }

    /// The second paper's measurement (Figure 10), in milliseconds: the whole outage, and the mapping's share.
    pub(super) const fn paper_ms(self) -> Option<(f64, f64)> {
        match self {
            Self::Paper => Some((1200.0, 360.0)),
            Self::PaperDns => Some((1550.0, 560.0)),
            _ => None,
        }
    }

    /// The bounds of medians that are to hold, in milliseconds: of all of it, and of the mapping.
    pub(super) const fn bounds_ms(self, fault: Fault) -> (Option<f64>, Option<f64>) {
        match (self, fault) {
            (Self::Publication, Fault::ServiceKilled) => (Some(300.0), Some(10.0)),
            (Self::Publication, Fault::ClusterCut) => (Some(1000.0), None),
            _ => (None, None),
        }
    }
}
