//! Map-Registers: who may register what, and the Map-Notify that says so.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::map_server::{LastRegister, MapServer};
use super::refused::Refused;
use super::registrations::{Registrar, Registration, Xtr};
use crate::auth::Key;
use crate::eid::Eid;
use crate::transmit::Transmit;
use crate::wire::{Identity, Locator, Record, RegisterFlags, Signed, SignedKind, TTL_OPEN};

/// "A Map-Server SHOULD time out and remove an ETR's registration if it has not received a valid Map-Register message within the
/// past three minutes" (RFC 9301 section 8.2).
const TIMEOUT: Duration = Duration::from_mins(3);

/// Locators that one xTR registers for an EID prefix.
const MOST_LOCATORS: usize = 8;

/// How long what an agent has registered stays without being said again; a cluster that is lost is withdrawn long before.
const AGENT_TIMEOUT: Duration = Duration::from_hours(24);

/// xTRs whose nonces are kept, each with its keys.
const MOST_XTRS: usize = 65_536;

/// The TTL that stands in answers for a mapping whose xTR leaves it open, in minutes.
const OPEN_TTL_MINUTES: u32 = 1440;

impl MapServer {
    /// Takes in a Map-Register.
    pub(super) fn register(
        &mut self,
        source: SocketAddr,
        register: &Signed,
        flags: RegisterFlags,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Refused> {
        let site_id = match register.identity {
            Some(identity) => identity.site_id,
            None => self.site_of_anonymous(&register.records[0].eid)?,
        };
        let site = self.site(site_id)?;
        let key = site.keys.verify(bytes)?;
        if !site.has_rloc(source.ip()) {
            return Err(Refused::ForeignSource);
        }
        let lax = site.lax_nonces;
        if let Some(identity) = register.identity
            && !lax
            && self.is_repeated(identity, register.nonce, &key, bytes)?
        {
            return Ok(());
        }

        let registrar = Registrar {
            site: site_id,
            xtr: register.identity.map_or_else(
                || Xtr::Address(source.ip()),
                |identity| Xtr::Id(identity.xtr_id),
            ),
        };
        let mut taken = Vec::new();
        let mut refused = None;
        for record in &register.records {
            match self.register_one(source, registrar, flags, record, now) {
                Ok(()) => taken.push(record.clone()),
                Err(why) => {
                    if let Some(before) = refused.replace(why) {
                        self.count(Refused::label(before));
                    }
                }
            }
        }
        let answer = (!taken.is_empty() && flags.contains(RegisterFlags::WANT_NOTIFY)).then(|| {
            let notify = Signed {
                kind: SignedKind::Notify,
                nonce: register.nonce,
                records: taken.clone(),
                identity: None,
            };
            Transmit {
                // "Note that the Map-Notify message is sent to UDP destination port 4342, not to the source port specified in the
                // original Map-Register message" (RFC 9301 section 8.2); section 5 has it otherwise.
                to: SocketAddr::new(source.ip(), self.config.port),
                payload: notify.encode(&key),
            }
        });
        if let Some(identity) = register.identity {
            self.remember(identity, &key, register, source.ip(), answer.clone(), bytes);
            self.is_back(identity);
        }
        if let Some(answer) = answer {
            self.count("map_notify");
            self.send_to(answer.to, answer.payload);
        }
        match refused {
            Some(why) if taken.is_empty() => Err(why),
            // The others of the message are taken: one service that was just given up does not hold up its cluster.
            Some(why) => {
                self.count(why.label());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The site that an xTR without an identity belongs to.
    fn site_of_anonymous(&self, eid: &Eid) -> Result<u64, Refused> {
        let mut sites = self.config.sites.iter().filter(|(_, site)| site.anonymous);
        let found = sites.find(|(_, site)| site.prefixes.iter().any(|prefix| prefix.contains(eid)));
        found.map(|(id, _)| *id).ok_or(Refused::NoSite(*eid))
    }

    /// Whether the message came before; then its answer is sent again, and nothing changes.
    ///
    /// "If a Map-Register is received with a nonce value that is not greater than the saved nonce, it MUST drop the Map-Register
    /// message and SHOULD log the fact that a replay attack could have occurred" (RFC 9301 section 5.6). Yet an ETR "MUST
    /// retransmit the original Map-Register" where no answer came (section 5.6): the same message gets the same answer.
    fn is_repeated(
        &mut self,
        identity: Identity,
        nonce: u64,
        key: &Key,
        bytes: &[u8],
    ) -> Result<bool, Refused> {
        let Some(last) = self.last_registers.get(&(identity, key.id())) else {
            return Ok(false);
        };
        if nonce > last.nonce {
            return Ok(false);
        }
        if nonce == last.nonce && last.mac.as_deref() == Some(mac_of(key, bytes)) {
            let answer = last.answer.clone();
            self.count("map_register_repeated");
            if let Some(answer) = answer {
                self.send_to(answer.to, answer.payload);
            }
            return Ok(true);
        }
        Err(Refused::Replay {
            nonce,
            last: last.nonce,
        })
    }

    fn remember(
        &mut self,
        identity: Identity,
        key: &Key,
        register: &Signed,
        address: IpAddr,
        answer: Option<Transmit>,
        bytes: &[u8],
    ) {
        let of = (identity, key.id());
        if self.last_registers.len() >= MOST_XTRS && !self.last_registers.contains_key(&of) {
            self.count("xtrs_full");
            return;
        }
        let last = LastRegister {
            nonce: register.nonce,
            mac: Some(mac_of(key, bytes).to_vec()),
            answer,
            address,
            eid: register.records[0].eid,
        };
        self.last_registers.insert(of, last);
        self.changed_nonces.insert(of);
    }

    fn register_one(
        &mut self,
        source: SocketAddr,
        registrar: Registrar,
        flags: RegisterFlags,
        record: &Record,
        now: Instant,
    ) -> Result<(), Refused> {
        let eid = record.eid;
        // A Map-Server "MUST verify that all EID-Prefixes registered by an ETR match the configuration" (RFC 9301 section 9).
        if !self.is_allowed(&eid, registrar.site) {
            return Err(Refused::NotAllowed(eid));
        }
        // A TTL of 0 takes back what this xTR registered; RFC 9301 has no other way to say so.
        if record.ttl_minutes == 0 {
            self.registrations.remove(&eid, registrar);
            self.count("registration_withdrawn");
        } else {
            let locators = &record.locators;
            if locators.is_empty()
                || locators.len() > MOST_LOCATORS
                || !locators.iter().all(is_sound)
            {
                return Err(Refused::BadLocators(eid));
            }
            let timeout = match record.ttl_minutes {
                TTL_OPEN => TIMEOUT,
                minutes if flags.contains(RegisterFlags::USE_TTL) => {
                    Duration::from_secs(u64::from(minutes) * 60)
                }
                _ => TIMEOUT,
            };
            let registration = Registration {
                locators: locators.clone(),
                ttl_minutes: record.ttl_minutes.min(OPEN_TTL_MINUTES),
                flags,
                address: source,
                expires: now + timeout.min(Duration::from_hours(24)),
            };
            self.registrations
                .set(eid, registrar, registration)
                .map_err(|_| Refused::Full)?;
        }
        self.refresh(&eid, now);
        Ok(())
    }

    /// Registers an EID prefix at these locators of a site, whose agent says so; it takes the place of what the agent said before.
    /// [`MapServer::withdraw`] ends it.
    pub fn register_by_agent(
        &mut self,
        eid: Eid,
        site_id: u64,
        locators: Vec<Locator>,
        now: Instant,
    ) -> Result<(), Refused> {
        if !self.is_allowed(&eid, site_id) {
            return Err(Refused::NotAllowed(eid));
        }
        let site = self.site(site_id)?;
        let is_good = |one: &Locator| is_sound(one) && site.has_rloc(one.address);
        let address = match locators.first() {
            Some(first) if locators.len() <= MOST_LOCATORS && locators.iter().all(is_good) => {
                SocketAddr::new(first.address, self.config.port)
            }
            _ => return Err(Refused::BadLocators(eid)),
        };
        let registration = Registration {
            locators,
            ttl_minutes: OPEN_TTL_MINUTES,
            // No request is sent on to xTRs that have not registered it themselves.
            flags: RegisterFlags::PROXY_REPLY | RegisterFlags::MERGE,
            address,
            expires: now + AGENT_TIMEOUT,
        };
        let registrar = Registrar {
            site: site_id,
            xtr: Xtr::Agent,
        };
        self.registrations
            .set(eid, registrar, registration)
            .map_err(|_| Refused::Full)?;
        self.count("registered_by_agent");
        self.refresh(&eid, now);
        Ok(())
    }

    /// Site-IDs of those who have registered exactly this prefix.
    pub fn sites_of(&self, eid: &Eid) -> BTreeSet<u64> {
        let entry = self.registrations.entries().get(eid).into_iter();
        entry
            .flatten()
            .map(|(registrar, _)| registrar.site)
            .collect()
    }

    fn is_allowed(&self, eid: &Eid, site_id: u64) -> bool {
        let was_allocated = self
            .allocated
            .get(eid)
            .is_some_and(|sites| sites.contains(&site_id));
        let site = self.config.sites.get(&site_id);
        was_allocated
            || site.is_some_and(|site| site.prefixes.iter().any(|prefix| prefix.contains(eid)))
    }
}

/// The authentication data of a message that was verified with the key.
fn mac_of<'a>(key: &Key, bytes: &'a [u8]) -> &'a [u8] {
    &bytes[16..16 + key.mac_bytes()]
}

/// RFC 9301 section 5.4: a locator "MUST NOT be the broadcast address" and none of multicast, where a unicast EID is mapped.
fn is_sound(locator: &Locator) -> bool {
    match locator.address {
        IpAddr::V4(address) => {
            !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
        }
        IpAddr::V6(address) => !(address.is_unspecified() || address.is_multicast()),
    }
}
