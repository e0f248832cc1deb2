//! The endpoints of one Service: what Kubernetes says of them, and what probes say earlier.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::event::{Locators, Probing, Target};
use crate::agent::objects::ProbeKind;

/// Answers in a row after which a pod that was down is up.
const RISE: u32 = 2;

#[derive(Clone, Debug)]
struct Endpoint {
    /// The first port of TCP.
    port: Option<u16>,
    /// The end of the endpoint's drain; none while Kubernetes says that it is ready.
    leaves: Option<Instant>,
    is_down: bool,
    /// The endpoint has answered a probe since it became ready: before, silence may be a policy's, or a port's that is not served.
    is_armed: bool,
    failures: u32,
    answers: u32,
    /// The time at which the first of the unanswered probes was sent.
    failed_since: Option<Instant>,
    /// The probe that is under way, since when.
    probed: Option<(Target, Instant)>,
    due: Instant,
}

impl Endpoint {
    const fn new(port: Option<u16>, now: Instant) -> Self {
        Self {
            port,
            leaves: None,
            is_down: false,
            is_armed: false,
            failures: 0,
            answers: 0,
            failed_since: None,
            probed: None,
            due: now,
        }
    }

    fn probed_port(&self, kind: &ProbeKind) -> Option<u16> {
        match kind {
            ProbeKind::Tcp(port) => port.or(self.port),
            ProbeKind::Http { port, .. } => Some(*port),
            ProbeKind::None => None,
        }
    }
}

/// The endpoints of one Service.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    all: BTreeMap<IpAddr, Endpoint>,
}

impl Endpoints {
    /// Takes in which addresses are ready, with the port of each. Others leave: at once, or when they are drained.
    pub(super) fn set_ready(
        &mut self,
        ready: &BTreeMap<IpAddr, Option<u16>>,
        drain: Duration,
        now: Instant,
    ) {
        for (address, endpoint) in &mut self.all {
            if !ready.contains_key(address) && endpoint.leaves.is_none() {
                endpoint.leaves = Some(now + drain);
            }
        }
        for (address, port) in ready {
            let known = self.all.get_mut(address);
            match known.filter(|known| known.leaves.is_none()) {
                Some(known) => known.port = *port,
                // What was said of it before does not count: it has become ready.
                None => {
                    self.all.insert(*address, Endpoint::new(*port, now));
                }
            }
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        self.all.retain(|_, one| match one.leaves {
            Some(until) => until > now && !one.is_down,
            None => true,
        });
    }

    /// The locators to which packets are to go by what is known.
    pub(super) fn locators(&self) -> Locators {
        let up = self.all.values().filter(|one| !one.is_down);
        let of = |one: &Endpoint| match one.leaves {
            None => Locators::Here,
            Some(_) => Locators::Last,
        };
        up.map(of).max().unwrap_or(Locators::None)
    }

    /// Since when the last pod that was up did not answer, where that is why none is up.
    pub(super) fn failed_since(&self) -> Option<Instant> {
        self.all.values().filter_map(|one| one.failed_since).max()
    }

    /// Probes that are due, and of which none is under way.
    pub(super) fn probes(&mut self, kind: &ProbeKind, now: Instant) -> Vec<Target> {
        let mut targets = Vec::new();
        for (address, one) in &mut self.all {
            let is_due = one.due <= now && one.probed.is_none();
            let Some(port) = one.probed_port(kind).filter(|_| is_due) else {
                continue;
            };
            let target = Target {
                address: SocketAddr::new(*address, port),
                path: match kind {
                    ProbeKind::Http { path, .. } => Some(path.clone()),
                    ProbeKind::Tcp(_) | ProbeKind::None => None,
                },
            };
            one.probed = Some((target.clone(), now));
            targets.push(target);
        }
        targets
    }

    /// A probe was answered, or not.
    pub(super) fn probed(
        &mut self,
        target: &Target,
        is_answered: bool,
        probing: &Probing,
        now: Instant,
    ) {
        let Some(one) = self.all.get_mut(&target.address.ip()) else {
            return;
        };
        let Some((_, sent)) = one.probed.take_if(|(probed, _)| probed == target) else {
            return;
        };
        one.due = (sent + probing.interval).max(now);
        if is_answered {
            one.is_armed = true;
            one.failures = 0;
            one.answers = one.answers.saturating_add(1);
            if one.answers >= RISE || !one.is_down {
                one.is_down = false;
                one.failed_since = None;
            }
        } else if one.is_armed {
            one.answers = 0;
            one.failures = one.failures.saturating_add(1);
            one.failed_since.get_or_insert(sent);
            one.is_down |= one.failures >= probing.failures;
        }
        self.forget(now);
    }

    /// Ends what is drained by now.
    pub(super) fn on_time(&mut self, now: Instant) {
        self.forget(now);
    }

    /// The time at which a probe or the end of a drain is due.
    pub(super) fn next_time(&self, kind: &ProbeKind) -> Option<Instant> {
        let due = |one: &Endpoint| {
            let is_idle = one.probed.is_none();
            one.probed_port(kind).filter(|_| is_idle).map(|_| one.due)
        };
        let all = self.all.values();
        all.flat_map(|one| [one.leaves, due(one)].into_iter().flatten())
            .min()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
