//! The processes of a repetition: whose they are, where their figures come from, and what each used in a second.

use std::collections::BTreeMap;
use std::time::Duration;

use testbed::cgroup::Group;
use testbed::resources::cgroup::GroupSample;
use testbed::resources::net::{self, NetSample};
use testbed::resources::{self, Sample, Source};
use timeline::UnixMicros;

use result::rows::ResourceRow;

/// A process that is sampled.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) role: String,
    pub(super) pid: u32,
    group: Option<Group>,
    /// Whether it is in its group.
    source: Source,
    network: Network,
}

/// What the counters of a process's network namespace say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// The counters are the process's pod's alone.
    OfPod,
    /// The counters are of every program of this host: what UDP lost, and no link.
    OfHost,
    /// The counters are of something else than the process's cluster.
    Foreign,
}

impl Network {
    fn of(pid: u32, group: Option<&Group>) -> Self {
        match (net::is_apart(pid), group) {
            (true, _) => Self::OfPod,
            (false, None) => Self::OfHost,
            (false, Some(_)) => Self::Foreign,
        }
    }

    /// Reads the counters that say something of the process.
    fn sample(self, pid: u32) -> Option<NetSample> {
        let all = || net::sample(pid).ok();
        match self {
            Self::OfPod => all(),
            // A link of the same name is the host's, which carries what others send.
            Self::OfHost => all().map(|all| NetSample {
                received: None,
                sent: None,
                ..all
            }),
            Self::Foreign => None,
        }
    }
}

impl Watched {
    pub(super) fn new(role: &str, pid: u32, group: Option<&Group>) -> Self {
        Self {
            role: role.to_owned(),
            pid,
            group: group.cloned(),
            source: group.map_or(Source::Proc, |group| group.source_of(pid)),
            network: Network::of(pid, group),
        }
    }

    /// The runner, which is older than the repetition and of no cluster.
    pub(super) fn ourselves() -> Self {
        Self::new("xrbench", std::process::id(), None)
    }

    fn is_ourselves(&self) -> bool {
        self.pid == std::process::id()
    }
}

/// What was used by the processes up to the last second.
#[derive(Debug, Default)]
pub(super) struct Processes {
    /// By process: ticks, for the machine's account.
    ticks: BTreeMap<u32, u64>,
    /// Processor time in microseconds: of a process, or, where there is no number, of the whole group of a role.
    cpu_us: BTreeMap<(String, Option<u32>), u64>,
}

/// A line of `resources.csv`, and the ticks that the process used since the last one.
pub(super) struct Line {
    pub(super) row: ResourceRow,
    pub(super) ticks: u64,
}

impl Processes {
    /// Reads a process; none if it has ended a moment ago.
    pub(super) fn running(
        &mut self,
        of: &Watched,
        at: UnixMicros,
        elapsed: Duration,
    ) -> Option<Line> {
        let sample = resources::sample(of.pid).ok()?;
        let net = of.network.sample(of.pid);
        Some(self.line(of, &sample, net, at, elapsed))
    }

    /// The last line of a process that has ended, having used so much.
    pub(super) fn ended(
        &mut self,
        of: &Watched,
        used: &Sample,
        at: UnixMicros,
        elapsed: Duration,
    ) -> Line {
        let used = Sample {
            rss_bytes: 0,
            threads: 0,
            ..*used
        };
        let line = self.line(of, &used, None, at, elapsed);
        self.ticks.remove(&of.pid);
        self.cpu_us.remove(&(of.role.clone(), Some(of.pid)));
        line
    }

    fn line(
        &mut self,
        of: &Watched,
        sample: &Sample,
        net: Option<NetSample>,
        at: UnixMicros,
        elapsed: Duration,
    ) -> Line {
        let group = match (&of.group, of.source) {
            (Some(group), Source::CgroupV1 | Source::CgroupV2) => group.sample(),
            _ => GroupSample::default(),
        };
        // Both from one place, or the two could not be read together.
        let (source, cpu_us, memory_bytes) = match (group.cpu, group.memory) {
            (Some(cpu), Some(memory)) => (of.source, cpu.usage_us, memory.working_set_bytes()),
            _ => (Source::Proc, sample.cpu_us(), sample.rss_bytes),
        };
        let ticks = sample.user_ticks + sample.system_ticks;
        // What this process used before the repetition is not this second's.
        let older = |all: u64| if of.is_ourselves() { all } else { 0 };
        let before = self
            .ticks
            .insert(of.pid, ticks)
            .unwrap_or_else(|| older(ticks));
        // A group may be gone with the process that is accounted for here: then the process goes on from its own last figure.
        let mut advance = |pid: Option<u32>, cpu_us: u64| {
            let before = self.cpu_us.insert((of.role.clone(), pid), cpu_us);
            before.unwrap_or_else(|| older(cpu_us))
        };
        let of_process = advance(Some(of.pid), sample.cpu_us());
        let cpu_before = match source {
            Source::Proc => of_process,
            Source::CgroupV1 | Source::CgroupV2 => advance(None, cpu_us),
        };
        let percent =
            cpu_us.saturating_sub(cpu_before) as f64 / 1e4 / elapsed.as_secs_f64().max(1e-6);
        let [received, sent] = [
            net.and_then(|net| net.received),
            net.and_then(|net| net.sent),
        ];
        let udp = net.map(|net| net.udp);
        let row = ResourceRow {
            time_us: at,
            role: of.role.clone(),
            pid: of.pid,
            user_ticks: Some(sample.user_ticks),
            system_ticks: Some(sample.system_ticks),
            ticks_hz: Some(resources::ticks_hz()),
            cpu_percent: percent,
            rss_bytes: Some(sample.rss_bytes),
            threads: Some(sample.threads),
            voluntary_switches: Some(sample.voluntary_switches),
            involuntary_switches: Some(sample.involuntary_switches),
            cluster: of
                .group
                .as_ref()
                .map_or("", |group| group.part().as_str())
                .to_owned(),
            source: source.to_string(),
            elapsed_us: Some(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)),
            cpu_us: Some(cpu_us),
            memory_bytes: Some(memory_bytes),
            rx_bytes: received.map(|one| one.bytes),
            rx_packets: received.map(|one| one.packets),
            rx_dropped: received.map(|one| one.dropped),
            tx_bytes: sent.map(|one| one.bytes),
            tx_packets: sent.map(|one| one.packets),
            tx_dropped: sent.map(|one| one.dropped),
            udp_in_errors: udp.map(|udp| udp.received),
            udp_rcvbuf_errors: udp.map(|udp| udp.receive_buffer),
            udp_sndbuf_errors: udp.map(|udp| udp.send_buffer),
            udp_csum_errors: udp.map(|udp| udp.checksum),
            tcp_retransmitted: net.map(|net| net.tcp_retransmitted),
            throttled_periods: group.throttled.map(|throttled| throttled.periods),
            throttled_us: group.throttled.map(|throttled| throttled.us),
        };
        Line {
            row,
            ticks: ticks.saturating_sub(before),
        }
    }
}
