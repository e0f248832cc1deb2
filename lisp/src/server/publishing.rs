//! What is in force: mappings merged from registrations by policies, published to whoever subscribed, and solicited from the others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use super::map_server::MapServer;
use super::policy::{ClusterState, Policy};
use super::solicitations::Solicitation;
use super::subscription::Target;
use crate::eid::Eid;
use crate::wire::{Action, Locator, MapRequest, Record, RequestFlags, Signed, SignedKind};

/// Locators of a merged mapping: as many as fit a datagram that no path cuts.
const MOST_LOCATORS: usize = 32;

impl MapServer {
    /// The mapping in force for exactly this prefix, from what is registered for it.
    pub(super) fn merged(&self, eid: &Eid) -> Option<Record> {
        let entry = self.registrations.entries().get(eid)?;
        let ttl_minutes = entry.values().map(|one| one.ttl_minutes).min()?;
        let mut locators: BTreeMap<IpAddr, (&str, Locator)> = BTreeMap::new();
        for (registrar, registration) in entry {
            let cluster = self
                .config
                .sites
                .get(&registrar.site)
                .map_or("", |site| site.name.as_str());
            for locator in &registration.locators {
                let proxied = Locator {
                    // RFC 9301 section 5.4: a proxy's answer has neither.
                    local: false,
                    probed: false,
                    ..*locator
                };
                let known = locators.get(&locator.address);
                if known.is_none_or(|(_, known)| known.priority > locator.priority) {
                    locators.insert(locator.address, (cluster, proxied));
                }
            }
        }
        let mut locators: Vec<_> = locators.into_values().take(MOST_LOCATORS).collect();
        let policy = self.policies.longest(eid).map(|(_, policy)| policy);
        policy
            .unwrap_or(&Policy::Registered)
            .apply(&mut locators, &self.clusters);
        let locators = locators.into_iter().map(|(_, locator)| locator).collect();
        Some(Record::new(*eid, ttl_minutes, locators))
    }

    /// Publishes the mapping of this prefix, if it is not what was published last.
    pub(super) fn refresh(&mut self, eid: &Eid, now: Instant) {
        let merged = self.merged(eid);
        if self.published.get(eid) == merged.as_ref() {
            return;
        }
        self.version += 1;
        let record = if let Some(record) = merged {
            self.published.insert(*eid, record.clone());
            record
        } else {
            self.published.remove(eid);
            // "notifies its subscribers (if any) via a Map-Notify with TTL equal to 0" (RFC 9437 section 5).
            Record::negative(*eid, 0, Action::NoAction)
        };
        self.count("mapping_changed");
        self.publish(&record, now);
        if !self.config.solicits {
            return;
        }
        self.solicitations.changed(eid, now);
        for one in self.solicitations.on_time(now) {
            self.solicit(one);
        }
    }

    fn refresh_within(&mut self, eid: &Eid, now: Instant) {
        let eids: Vec<_> = self
            .registrations
            .entries()
            .within(eid)
            .map(|(eid, _)| eid)
            .collect();
        for eid in eids {
            self.refresh(&eid, now);
        }
    }

    pub(super) fn publish(&mut self, record: &Record, now: Instant) {
        for target in self.subscriptions.targets(&record.eid) {
            let Some(payload) = self.notify(&target, record.clone()) else {
                continue;
            };
            if let Some(address) = self.subscriptions.sent(&target, record.eid, &payload, now) {
                self.count("publication");
                self.send(address, payload);
            }
        }
    }

    /// A Map-Notify for a subscriber.
    pub(super) fn notify(&self, target: &Target, record: Record) -> Option<Vec<u8>> {
        let site = self.config.sites.get(&target.site)?;
        let notify = Signed {
            kind: SignedKind::Notify,
            nonce: target.nonce,
            records: vec![record],
            identity: None,
        };
        Some(notify.encode(&site.key))
    }

    pub(super) fn solicit(&mut self, one: Solicitation) {
        self.nonce = self.nonce.wrapping_add(1);
        // Open Overlay Router's form: the source is the EID that has changed, the record one that is local to the receiver.
        let source = Eid::host(one.changed.instance(), one.changed.address());
        let request = MapRequest {
            flags: RequestFlags::SMR,
            source_eid: Some(source),
            ..MapRequest::new(
                self.nonce,
                one.own.unwrap_or(one.changed),
                vec![self.config.address],
            )
        };
        self.count("solicitation");
        self.send(one.itr, request.encode());
    }

    /// Sets the selection policy of a prefix and of what lies in it; [`Policy::Registered`] where none is set.
    pub fn set_policy(&mut self, eid: Eid, policy: Policy, now: Instant) {
        self.policies.insert(eid, policy);
        self.refresh_within(&eid, now);
    }

    /// Takes in what is known of a cluster, by its site's name. Mappings that this changes are published.
    pub fn set_cluster(&mut self, name: &str, state: ClusterState, now: Instant) {
        if self.clusters.get(name) == Some(&state) {
            return;
        }
        self.clusters.insert(name.to_owned(), state);
        let with_policy: Vec<_> = self.policies.iter().map(|(eid, _)| eid).collect();
        for eid in with_policy {
            self.refresh_within(&eid, now);
        }
    }

    /// The mapping in force for an address, as it is given to ITRs.
    pub fn mapping(&self, eid: &Eid) -> Option<&Record> {
        self.published.longest(eid).map(|(_, record)| record)
    }
}
