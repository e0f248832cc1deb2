//! One Service: what is to be true of it at the control plane, what is, and the one request that is under way.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::endpoints::Endpoints;
use super::event::{Locators, Request, Result};
use crate::agent::objects::SeenService;

/// The wait before a request that failed is made again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The place of a Service's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a pool of the control plane.
    Pool(IpAddr),
    Elsewhere,
}

/// A Service, as far as the machine knows it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// The Service as Kubernetes has it; none while only the control plane knows of it.
    pub(super) seen: Option<SeenService>,
    pub(super) endpoints: Endpoints,
    /// The number of the Service's endpoints that count among those that are probed.
    pub(super) counted: usize,
    /// The endpoints are not probed, because as many as may be are.
    pub(super) is_beyond: bool,
    /// Until when it may be missing although its address was just given.
    granted: Option<Instant>,
    /// The control plane counts the cluster among those that have the Service, or may do so.
    is_held: bool,
    /// The control plane says that the address is another's.
    is_taken: bool,
    /// The request that was done last, which is what the control plane has.
    told: Option<Request>,
    told_at: Instant,
    /// The request that is wanted, and since when.
    wanted: Option<Request>,
    since: Instant,
    asked: Option<(Request, Instant)>,
    failures: u32,
    retry: Option<Instant>,
}

/// What was done before a request, the time from its reason to it, and from it to the answer.
pub(super) type Took = (Option<Request>, Duration, Duration);

impl Service {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            seen: None,
            endpoints: Endpoints::default(),
            counted: 0,
            is_beyond: false,
            granted: None,
            is_held: false,
            is_taken: false,
            told: None,
            told_at: now,
            wanted: None,
            since: now,
            asked: None,
            failures: 0,
            retry: None,
        }
    }

    /// The Service is there, as this.
    pub(super) fn set_seen(&mut self, seen: SeenService) {
        match &self.seen {
            Some(known) if known.address == seen.address => {}
            Some(_) => self.is_taken = false,
            // What was given is for this one, not for one of the same name that is still to come.
            None => self.granted = None,
        }
        self.seen = Some(seen);
    }

    pub(super) fn set_gone(&mut self) {
        self.seen = None;
        self.is_taken = false;
    }

    /// The control plane has given it an address: the Service is to come before `until`.
    pub(super) const fn grant(&mut self, until: Instant) {
        self.granted = Some(until);
        self.is_held = true;
    }

    /// The control plane knows nothing of what it was told.
    pub(super) const fn forget_told(&mut self) {
        self.told = None;
        self.retry = None;
    }

    fn want(
        &self,
        place: impl Fn(IpAddr) -> Place,
        is_complete: bool,
        now: Instant,
    ) -> Option<Request> {
        let release = self.is_held.then_some(Request::Release);
        let Some(seen) = &self.seen else {
            let is_over = is_complete && self.granted.is_none_or(|until| until <= now);
            return match self.told {
                _ if is_over => release,
                Some(Request::Set(address, _)) => Some(Request::Set(address, Locators::None)),
                _ => None,
            };
        };
        match seen.address.map(place) {
            Some(Place::Pool(address)) if seen.is_shared && !self.is_taken => {
                Some(Request::Set(address, self.endpoints.locators()))
            }
            Some(Place::Pool(address)) => Some(Request::Conflict(address)),
            Some(Place::Elsewhere) | None => release,
        }
    }

    /// Works out what is wanted. `place` says where an address lies; `is_complete`, whether every Service was seen.
    pub(super) fn decide(
        &mut self,
        place: impl Fn(IpAddr) -> Place,
        is_complete: bool,
        now: Instant,
    ) {
        let wanted = self.want(place, is_complete, now);
        if wanted == self.wanted {
            return;
        }
        self.wanted = wanted;
        self.failures = 0;
        self.retry = None;
        let is_end = matches!(wanted, Some(Request::Set(_, Locators::None)));
        let failed = self.endpoints.failed_since().filter(|_| is_end);
        self.since = failed.unwrap_or(now);
    }

    /// The request to be made now, if any.
    pub(super) fn ask(&mut self, refresh: Duration, now: Instant) -> Option<Request> {
        let wanted = self.wanted?;
        if self.asked.is_some() || self.retry.is_some_and(|retry| retry > now) {
            return None;
        }
        let is_stale = matches!(wanted, Request::Set(..)) && now >= self.told_at + refresh;
        if self.told == Some(wanted) && !is_stale {
            return None;
        }
        self.asked = Some((wanted, now));
        self.is_held |= matches!(wanted, Request::Set(..));
        Some(wanted)
    }

    /// The answer to a request has come; how long it took, where it was done and changed something.
    pub(super) fn answered(
        &mut self,
        request: Request,
        result: Result,
        now: Instant,
    ) -> Option<Took> {
        let (_, asked_at) = self.asked.take_if(|(asked, _)| *asked == request)?;
        match result {
            Result::Done => {
                let before = self.told;
                // Whoever has an address in use for something else has given back the Service that it was for.
                self.is_held = matches!(request, Request::Set(..));
                self.told = Some(request);
                self.told_at = now;
                self.failures = 0;
                self.retry = None;
                let noticed = asked_at.saturating_duration_since(self.since);
                let took = now.saturating_duration_since(asked_at);
                return (before != Some(request)).then_some((before, noticed, took));
            }
            Result::Taken => self.is_taken = true,
            Result::Failed => {}
        }
        let wait = FIRST_WAIT * 2_u32.saturating_pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.retry = Some(now + wait.min(LONGEST_WAIT));
        None
    }

    /// Whether nothing is known of the Service, and nothing is left to be done.
    pub(super) fn is_over(&self) -> bool {
        self.seen.is_none() && !self.is_held && self.asked.is_none() && self.endpoints.len() == 0
    }

    /// The time at which something is due, beside probes.
    pub(super) fn next_time(&self, refresh: Duration) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        let is_set = matches!(self.told, Some(Request::Set(..))) && self.told == self.wanted;
        let stale = is_set.then(|| self.told_at + refresh);
        let granted = self.granted.filter(|_| self.seen.is_none());
        [stale, self.retry, granted].into_iter().flatten().min()
    }
}
