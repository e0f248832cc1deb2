//! The command line of `xr-lisp bench recovery`.

use std::path::PathBuf;

use service::args::whole;

use super::once::Settings;
use super::way::{Fault, Way};

const EXPLAINED: &str = "\
A client, two clusters with the same service at the same address, and a control plane are namespaces of this machine, made anew for \
each measurement and gone with it; each of the four has a tunnel router or a link of its own. The client sends a request every 5 ms. Then \
one cluster fails, and the time from the last answer of the one to the first of the other is taken apart, by what programs say on \
the machine's monotonic clock:
  detection   until the control plane is told that the service is gone, or misses the cluster
  mapping     until the client's tunnel router, or with a name the client, has the other cluster
  connection  until the first answer
What Kubernetes would notice in the ways paper and paper-dns is played: a kubelet that lists containers once a second, and asks for \
a readiness page each --readiness-period-s.

Examples:
  What docs/lisp.md shows, in some 40 minutes:
    xr-lisp bench recovery --out recovery
  Whether the bounds hold, in some three minutes:
    xr-lisp bench recovery --way publication --fault service-killed,cluster-cut
  For a program:
    xr-lisp bench recovery --repetitions 3 --way publication,dns --fault service-killed --json |
      jq .cells

It takes root, iproute2, ethtool, and for names bind9 and bind9-dnsutils. Give it a machine that does nothing else.";

/// The arguments of `xr-lisp bench recovery`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXPLAINED)]
pub struct RecoveryArgs {
    /// Folder of the raw data: recovery.csv, events.csv, answers.csv; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "bench-lisp-recovery")]
    pub(super) out: PathBuf,
    /// Repetitions, each with every way and fault
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = whole::<u16>(1..=u16::MAX))]
    pub(super) repetitions: u16,
    /// In which ways
    #[arg(long = "way", value_name = "WAY", value_delimiter = ',', value_enum, default_values_t = Way::ALL)]
    pub(super) ways: Vec<Way>,
    /// What fails; ways that cannot see a fault are left out
    #[arg(long = "fault", value_name = "FAULT", value_delimiter = ',', value_enum, default_values_t = Fault::ALL)]
    pub(super) faults: Vec<Fault>,
    /// Milliseconds between two probes of the agent
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = whole::<u16>(20..=10_000))]
    probe_interval_ms: u16,
    /// Time to live of the name, in seconds
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = whole::<u16>(0..=u16::MAX))]
    dns_ttl_s: u16,
    /// Seconds between two readiness probes of the played kubelet; Kubernetes has 10
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = whole::<u16>(1..=300))]
    readiness_period_s: u16,
    /// Readiness probes without an answer after which it takes a pod for not ready; Kubernetes has 3
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole::<u16>(1..=100))]
    readiness_failures: u16,
    /// The figures as one document of JSON, in the place of the table
    #[arg(long)]
    pub(super) json: bool,
}

impl RecoveryArgs {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            ttl_s: self.dns_ttl_s.into(),
            probe_interval_ms: self.probe_interval_ms,
            readiness_period_s: self.readiness_period_s,
            readiness_failures: self.readiness_failures,
        }
    }
}
