//! The machine: every Service of the cluster, and the requests and probes that come of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use ipnet::IpNet;

use super::event::{Config, Done, Input, Output, Request, Result, SliceName, Target};
use super::service::{Place, Service};
use crate::agent::objects::{ProbeKind, SeenSlice};
use crate::services::ServiceName;

/// The machine of a cluster's agent.
#[derive(Debug)]
pub(crate) struct Agent {
    config: Config,
    pools: Vec<IpNet>,
    services: BTreeMap<ServiceName, Service>,
    /// Slices of each Service, and the Service of each slice.
    slices: BTreeMap<ServiceName, BTreeMap<SliceName, SeenSlice>>,
    owners: BTreeMap<SliceName, ServiceName>,
    /// Which Services a probe is for: two may have one pod.
    probed: BTreeMap<Target, BTreeSet<ServiceName>>,
    /// When something is due for a Service, and the same the other way round.
    times: BTreeSet<(Instant, ServiceName)>,
    due: BTreeMap<ServiceName, Instant>,
    /// Services that have a request to make, and no place for it.
    waiting: BTreeSet<ServiceName>,
    under_way: usize,
    /// Endpoints of Services that are probed.
    endpoints: usize,
    is_complete: bool,
    /// The control plane takes this agent for the cluster's.
    is_accepted: bool,
    outbox: VecDeque<Output>,
}

impl Agent {
    /// An agent that knows nothing yet.
    pub(crate) const fn new(config: Config) -> Self {
        Self {
            config,
            pools: Vec::new(),
            services: BTreeMap::new(),
            slices: BTreeMap::new(),
            owners: BTreeMap::new(),
            probed: BTreeMap::new(),
            times: BTreeSet::new(),
            due: BTreeMap::new(),
            waiting: BTreeSet::new(),
            under_way: 0,
            endpoints: 0,
            is_complete: false,
            is_accepted: false,
            outbox: VecDeque::new(),
        }
    }

    /// Takes in what has happened. What is to be done is to be fetched with [`Agent::poll`].
    pub(crate) fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Pools(pools) => {
                if self.pools != pools {
                    self.pools = pools;
                    self.all(now);
                }
            }
            Input::Service(name, seen) => self.change(name, now, |service| service.set_seen(seen)),
            Input::ServiceGone(name) => self.change(name, now, Service::set_gone),
            Input::Slice(name, slice) => {
                let owner = slice.service.clone();
                if self.owners.get(&name).is_some_and(|known| *known != owner) {
                    self.drop_slice(&name, now);
                }
                self.owners.insert(name.clone(), owner.clone());
                let of_owner = self.slices.entry(owner.clone()).or_default();
                of_owner.insert(name, slice);
                self.set_endpoints(owner, now);
            }
            Input::SliceGone(name) => self.drop_slice(&name, now),
            Input::Complete => {
                self.is_complete = true;
                self.all(now);
            }
            Input::Granted(name) => {
                let until = now + self.config.grace;
                self.change(name, now, |service| service.grant(until));
            }
            Input::Probed(target, is_answered) => {
                let probing = self.config.probing.clone();
                for name in self.probed.remove(&target).unwrap_or_default() {
                    self.change(name, now, |service| {
                        service
                            .endpoints
                            .probed(&target, is_answered, &probing, now);
                    });
                }
            }
            Input::Answered(name, request, result) => self.answered(name, request, result, now),
            Input::Accepted { knows_nothing } => {
                let was_accepted = std::mem::replace(&mut self.is_accepted, true);
                if knows_nothing {
                    self.services.values_mut().for_each(Service::forget_told);
                }
                if knows_nothing || !was_accepted {
                    self.all(now);
                }
            }
            Input::Refused => self.is_accepted = false,
        }
    }

    /// Does what is due by `now`.
    pub(crate) fn on_time(&mut self, now: Instant) {
        while let Some((at, name)) = self.times.first().cloned() {
            if at > now {
                return;
            }
            self.times.remove(&(at, name.clone()));
            self.due.remove(&name);
            self.change(name, now, |_| ());
        }
    }

    /// The time at which [`Agent::on_time`] is to be called, if nothing happens before.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.times.first().map(|(at, _)| *at)
    }

    /// The next thing to be done, if any.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// Services that are known, and endpoints that are probed.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.services.len(), self.endpoints)
    }

    fn all(&mut self, now: Instant) {
        let names: Vec<_> = self.services.keys().cloned().collect();
        for name in names {
            self.change(name, now, |_| ());
        }
    }

    fn drop_slice(&mut self, name: &SliceName, now: Instant) {
        let Some(owner) = self.owners.remove(name) else {
            return;
        };
        if let Some(of_owner) = self.slices.get_mut(&owner) {
            of_owner.remove(name);
            if of_owner.is_empty() {
                self.slices.remove(&owner);
            }
        }
        self.set_endpoints(owner, now);
    }

    fn set_endpoints(&mut self, owner: ServiceName, now: Instant) {
        let mut ready: BTreeMap<IpAddr, Option<u16>> = BTreeMap::new();
        for slice in self
            .slices
            .get(&owner)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            let all = slice.endpoints.iter().filter(|(_, is_ready)| *is_ready);
            ready.extend(all.map(|(address, _)| (*address, slice.port)));
        }
        let drain = self.config.drain;
        self.change(owner, now, |service| {
            service.endpoints.set_ready(&ready, drain, now);
        });
    }

    fn answered(&mut self, name: ServiceName, request: Request, result: Result, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        let mut done = None;
        self.change(name.clone(), now, |service| {
            done = service.answered(request, result, now);
        });
        if let Some((before, noticed, answered)) = done {
            self.outbox.push_back(Output::Done(Done {
                service: name,
                request,
                before,
                noticed,
                answered,
            }));
        }
        // A place is free.
        while self.has_place()
            && let Some(name) = self.waiting.pop_first()
        {
            self.change(name, now, |_| ());
        }
    }

    const fn has_place(&self) -> bool {
        self.is_accepted && self.under_way < self.config.at_once
    }

    /// Changes a Service, and does what comes of that.
    fn change(&mut self, name: ServiceName, now: Instant, how: impl FnOnce(&mut Service)) {
        let has_place = self.has_place();
        let service = self.services.entry(name.clone());
        let service = service.or_insert_with(|| Service::new(now));
        how(service);
        service.endpoints.on_time(now);
        let pools = &self.pools;
        let place = |address: IpAddr| {
            let is_in = pools.iter().any(|pool| pool.contains(&address));
            if is_in {
                Place::Pool(address)
            } else {
                Place::Elsewhere
            }
        };
        service.decide(place, self.is_complete, now);

        let probing = &self.config.probing;
        let shared = service.seen.as_ref().filter(|seen| seen.is_shared);
        let kind = shared.map_or(&ProbeKind::None, |seen| {
            seen.probe.as_ref().unwrap_or(&probing.kind)
        });
        let counted = if *kind == ProbeKind::None {
            0
        } else {
            service.endpoints.len()
        };
        self.endpoints = self.endpoints + counted - service.counted;
        let is_over_the_most = self.endpoints > probing.most;
        service.is_beyond = is_over_the_most && (service.is_beyond || counted > service.counted);
        service.counted = counted;
        let kind = if service.is_beyond {
            ProbeKind::None
        } else {
            kind.clone()
        };
        for target in service.endpoints.probes(&kind, now) {
            let of_target = self.probed.entry(target.clone()).or_default();
            if of_target.is_empty() {
                self.outbox.push_back(Output::Probe(target));
            }
            of_target.insert(name.clone());
        }

        if !has_place {
            self.waiting.insert(name.clone());
        } else if let Some(request) = service.ask(self.config.refresh, now) {
            self.under_way += 1;
            self.outbox.push_back(Output::Ask(name.clone(), request));
        }

        // What is due by now was done, or waits for something else than the time.
        let due = [
            service.next_time(self.config.refresh),
            service.endpoints.next_time(&kind),
        ];
        let due = due.into_iter().flatten().filter(|due| *due > now).min();
        let is_over = service.is_over();
        if let Some(before) = self.due.remove(&name) {
            self.times.remove(&(before, name.clone()));
        }
        if is_over {
            self.endpoints -= service.counted;
            self.services.remove(&name);
        } else if let Some(due) = due {
            self.times.insert((due, name.clone()));
            self.due.insert(name, due);
        }
    }
}
