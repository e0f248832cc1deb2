//! Map-Requests: answered in place of the ETRs, refused, forwarded, or taken as subscriptions.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::hole;
use super::map_server::MapServer;
use super::refused::Refused;
use super::subscription::Target;
use super::subscriptions::NotSubscribed;
use crate::eid::Eid;
use crate::wire::{
    Action, Identity, MapReply, MapRequest, Query, Record, RegisterFlags, ReplyFlags, RequestFlags,
};

/// How long it may be kept that there is no mapping, in minutes: outside of what is configured, and where nobody has registered
/// (RFC 9301 section 8.3).
const OUTSIDE_MINUTES: u32 = 15;
const NOBODY_MINUTES: u32 = 1;

/// How long a subscription lives to what nobody has registered: "a value of 15 minutes being RECOMMENDED" (RFC 9437 section 5).
const HOLE_SUBSCRIPTION: Duration = Duration::from_mins(15);

/// Queries of one request that are answered. RFC 9301 has senders send one and receivers take more.
const MOST_QUERIES: usize = 4;

/// Times as long as its mapping's TTL that a subscription lives, unless it is renewed.
const LIFETIMES: u64 = 2;

/// The mapping that is found for an EID.
struct Found {
    record: Record,
    /// No ETR has registered it.
    is_hole: bool,
}

impl MapServer {
    /// Answers a Map-Request. `port` is the requester's, which with an Encapsulated Control Message is the inner packet's;
    /// `encapsulated` is that message.
    pub(super) fn answer(
        &mut self,
        source: SocketAddr,
        port: u16,
        request: &MapRequest,
        encapsulated: Option<&[u8]>,
        now: Instant,
    ) -> Result<(), Refused> {
        if request.flags.contains(RequestFlags::PROBE) {
            return Err(Refused::Probe);
        }
        if request.flags.contains(RequestFlags::SMR) {
            return Err(Refused::NotForServer("solicitation"));
        }
        if !self.buckets.take(source.ip(), now) {
            return Err(Refused::TooFast);
        }
        if let Some(identity) = request.identity
            && let [query] = request.queries[..]
            && query.notify
        {
            return self.subscribe(source, port, request, identity, query, now);
        }
        let to = reply_address(source, port, request)?;
        let mut records = Vec::new();
        for query in request.queries.iter().take(MOST_QUERIES) {
            match self.find(&query.eid, now)? {
                found if !found.is_hole && !self.is_proxied(&found.record.eid) => {
                    self.forward(&found.record.eid, encapsulated);
                }
                found => records.push(found),
            }
        }
        if request.queries.len() > MOST_QUERIES {
            self.count(Refused::ManyQueries.label());
        }
        if records.is_empty() {
            return Ok(());
        }
        let size = encapsulated.map_or_else(|| request.encode().len(), <[u8]>::len);
        self.reply(source, to, request, &records, size, now)
    }

    fn reply(
        &mut self,
        source: SocketAddr,
        to: SocketAddr,
        request: &MapRequest,
        found: &[Found],
        request_bytes: usize,
        now: Instant,
    ) -> Result<(), Refused> {
        // One that was solicited asks because the mapping changed; the version says whether it was told.
        let first = found[0].record.eid;
        if self.answered.get(&(to.ip(), first), now) == Some(&self.version) {
            return Err(Refused::AnsweredLately);
        }
        let records: Vec<_> = found.iter().map(|found| found.record.clone()).collect();
        let payload = MapReply {
            flags: ReplyFlags::empty(),
            nonce: request.nonce,
            records,
        }
        .encode();
        if to.ip() != source.ip()
            && payload.len()
                > self
                    .config
                    .limits
                    .amplification
                    .saturating_mul(request_bytes)
        {
            return Err(Refused::Amplification);
        }
        self.answered.insert((to.ip(), first), self.version, now);
        for found in found {
            let keeps = Duration::from_secs(u64::from(found.record.ttl_minutes) * 60);
            self.solicitations
                .gave(found.record.eid, to.ip(), request.source_eid, keeps, now);
        }
        self.count("map_reply");
        self.send_to(to, payload);
        Ok(())
    }

    fn find(&self, eid: &Eid, now: Instant) -> Result<Found, Refused> {
        if let Some((_, record)) = self.published.longest(eid) {
            return Ok(Found {
                record: record.clone(),
                is_hole: false,
            });
        }
        // Part of the prefix may be registered: then its first address is what is answered.
        let has_parts = self.published.within(eid).next().is_some();
        let eid = if has_parts {
            Eid::host(eid.instance(), eid.address())
        } else {
            *eid
        };
        if let Some((_, record)) = self.published.longest(&eid) {
            return Ok(Found {
                record: record.clone(),
                is_hole: false,
            });
        }
        let configured = self.known.longest(&eid).map(|(eid, ())| eid);
        if configured.is_some() && self.is_starting(now) {
            return Err(Refused::Starting(eid));
        }
        let is_taken = |hole: &Eid| {
            self.published.within(hole).next().is_some()
                || configured.is_none() && self.known.within(hole).next().is_some()
        };
        let hole = hole::least_specific(&eid, configured, is_taken);
        let minutes = if configured.is_some() {
            NOBODY_MINUTES
        } else {
            OUTSIDE_MINUTES
        };
        Ok(Found {
            record: Record::negative(hole, minutes, Action::NativelyForward),
            is_hole: true,
        })
    }

    /// "If any of the registered ETRs for the EID-Prefix have requested proxy reply service, then the Map-Server answers the
    /// request instead of forwarding it" (RFC 9301 section 8.3).
    fn is_proxied(&self, eid: &Eid) -> bool {
        let entry = self.registrations.entries().get(eid);
        entry.is_some_and(|entry| {
            let mut all = entry.values();
            all.any(|one| one.flags.contains(RegisterFlags::PROXY_REPLY))
        })
    }

    /// Hands an Encapsulated Map-Request on to one of the ETRs. One that is not encapsulated has come to the wrong place.
    fn forward(&mut self, eid: &Eid, encapsulated: Option<&[u8]>) {
        let entry = self.registrations.entries().get(eid);
        let etr = entry
            .and_then(|entry| entry.values().next())
            .map(|one| one.address);
        if let (Some(etr), Some(bytes)) = (etr, encapsulated) {
            self.count("map_request_forwarded");
            self.send(etr.ip(), bytes.to_vec());
        }
    }

    /// Takes a subscription in, or ends one.
    fn subscribe(
        &mut self,
        source: SocketAddr,
        port: u16,
        request: &MapRequest,
        identity: Identity,
        query: Query,
        now: Instant,
    ) -> Result<(), Refused> {
        let Ok(site) = self.site(identity.site_id) else {
            self.refuse(source, port, request, Action::AuthFailure)?;
            return Err(Refused::UnknownSite(identity.site_id));
        };
        // "Map-Resolvers MUST verify that an xTR is allowed to (1) set the N-bit to 1 and (2) use the xTR-ID, Site-ID, and
        // ITR-RLOCs included in a Map-Request" (RFC 9437 section 1.1). Before any state: a forged source would have another pay.
        if !site.has_rloc(source.ip()) {
            return Err(Refused::ForeignSource);
        }
        // RFC 9437 section 5: "only has one ITR-RLOC with AFI = 0".
        if request.itr_rlocs.is_empty() {
            return self.unsubscribe(source, request, identity, query, now);
        }
        if !request.itr_rlocs.contains(&source.ip()) {
            return Err(Refused::ForeignSource);
        }
        let found = self.find(&query.eid, now)?;
        let eid = found.record.eid;
        let lifetime = if found.is_hole {
            HOLE_SUBSCRIPTION
        } else {
            Duration::from_secs(u64::from(found.record.ttl_minutes) * 60 * LIFETIMES)
        };
        let mut rlocs = request.itr_rlocs.clone();
        // The one that it spoke from is reached for sure.
        let spoke = rlocs
            .iter()
            .position(|rloc| *rloc == source.ip())
            .unwrap_or(0);
        rlocs.swap(0, spoke);
        match self
            .subscriptions
            .subscribe(eid, identity, rlocs, request.nonce, lifetime, now)
        {
            Ok(()) => {}
            Err(NotSubscribed::Replay { last }) => {
                let nonce = request.nonce;
                return Err(Refused::Replay { nonce, last });
            }
            Err(NotSubscribed::Full) => {
                let to = reply_address(source, port, request)?;
                self.count(Refused::Full.label());
                return self.reply(source, to, request, &[found], usize::MAX, now);
            }
        }
        // It is told by this one from now on: nonces of the other, for what is not there any more, would be replays to it.
        if query.eid != eid {
            self.subscriptions
                .end(&query.eid, identity, request.nonce, now);
        }
        self.count("subscribed");
        for rloc in &request.itr_rlocs {
            self.solicitations.forget(&eid, *rloc);
        }
        let target = Target {
            subscribed: eid,
            identity,
            site: identity.site_id,
            nonce: request.nonce,
        };
        if let Some(payload) = self.notify(&target, found.record)
            && let Some(address) = self.subscriptions.sent(&target, eid, &payload, now)
        {
            self.send(address, payload);
        }
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        source: SocketAddr,
        request: &MapRequest,
        identity: Identity,
        query: Query,
        now: Instant,
    ) -> Result<(), Refused> {
        let last = self.subscriptions.nonce(&query.eid, identity);
        if let Some(last) = last
            && request.nonce <= last
        {
            let nonce = request.nonce;
            return Err(Refused::Replay { nonce, last });
        }
        if self
            .subscriptions
            .end(&query.eid, identity, request.nonce, now)
        {
            self.count("unsubscribed");
            let target = Target {
                subscribed: query.eid,
                identity,
                site: identity.site_id,
                nonce: request.nonce,
            };
            let record = self.published.get(&query.eid).cloned();
            let record = record.unwrap_or_else(|| Record::negative(query.eid, 0, Action::NoAction));
            if let Some(payload) = self.notify(&target, record) {
                self.send(source.ip(), payload);
            }
        }
        Ok(())
    }

    fn refuse(
        &mut self,
        source: SocketAddr,
        port: u16,
        request: &MapRequest,
        action: Action,
    ) -> Result<(), Refused> {
        let to = reply_address(source, port, request)?;
        if to.ip() != source.ip() {
            return Err(Refused::ForeignSource);
        }
        let payload = MapReply {
            flags: ReplyFlags::empty(),
            nonce: request.nonce,
            records: vec![Record::negative(request.queries[0].eid, 1, action)],
        }
        .encode();
        self.count("map_reply_negative");
        self.send_to(to, payload);
        Ok(())
    }
}

/// "The destination address of the Map-Reply is one of the ITR-RLOCs" (RFC 9301 section 5.5): the one that the request came
/// from, else the first of the family that we speak.
fn reply_address(
    source: SocketAddr,
    port: u16,
    request: &MapRequest,
) -> Result<SocketAddr, Refused> {
    let rlocs = &request.itr_rlocs;
    let same_family = |rloc: &&IpAddr| rloc.is_ipv4() == source.is_ipv4();
    let rloc = rlocs
        .iter()
        .find(|rloc| **rloc == source.ip())
        .or_else(|| rlocs.iter().find(same_family));
    let rloc = rloc.ok_or(Refused::NoItrRloc)?;
    Ok(SocketAddr::new(*rloc, port))
}
