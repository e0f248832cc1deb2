//! Map-Requests, which are also probes, subscriptions and solicitations (RFC 9301 section 5.2, RFC 9437 section 4).

use std::net::IpAddr;

use bitflags::bitflags;

use super::address;
use super::bytes::{Reader, count};
use super::identity::Identity;
use super::malformed::Malformed;
use super::record::Record;
use crate::eid::Eid;

/// The type of a Map-Request.
pub(super) const TYPE: u8 = 1;

/// A record follows that the requester's own site registered: the M bit.
const MAP_DATA: u32 = 0x0400_0000;

/// The xTR-ID and the Site-ID follow: the I bit.
const IDENTITY: u32 = 0x0010_0000;

/// The N bit of a queried EID; the figure of RFC 9437 has it first, its IANA table second. Other implementations follow the figure.
const NOTIFY: u8 = 0x80;

/// ITR-RLOCs that the count of a Map-Request has room for.
const MAX_ITR_RLOCS: usize = 32;

bitflags! {
    /// The flags of a Map-Request.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RequestFlags: u32 {
        /// A: the answer has to come from an ETR.
        const AUTHORITATIVE = 0x0800_0000;
        /// P: whether the locator can be reached.
        const PROBE = 0x0200_0000;
        /// S: the receiver is to ask for a mapping that has changed.
        const SMR = 0x0100_0000;
        /// p: the requester is a proxy ITR.
        const PROXY_ITR = 0x0080_0000;
        /// s: an answer to a solicitation.
        const SMR_INVOKED = 0x0040_0000;
        /// L: xTRs of one site.
        const LOCAL_XTR = 0x0000_4000;
        /// D: no Map-Reply is wanted.
        const DONT_MAP_REPLY = 0x0000_2000;
    }
}

/// An EID whose mapping is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub eid: Eid,
    /// The N bit: changes of the mapping are wanted too.
    pub notify: bool,
}

/// A Map-Request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRequest {
    pub flags: RequestFlags,
    pub nonce: u64,
    /// The address that the packet came from for which the mapping is wanted.
    pub source_eid: Option<Eid>,
    /// The ITR-RLOCs, where the answer may go; empty for the one address of family 0 that ends a subscription.
    pub itr_rlocs: Vec<IpAddr>,
    /// The EID-Prefixes that are asked for: one in what is sent, any number in what is received.
    pub queries: Vec<Query>,
    /// A mapping of the requester's own site.
    pub map_data: Option<Record>,
    pub identity: Option<Identity>,
}

impl MapRequest {
    /// A request for one mapping, as an ITR sends it.
    pub fn new(nonce: u64, eid: Eid, itr_rlocs: Vec<IpAddr>) -> Self {
        Self {
            flags: RequestFlags::empty(),
            nonce,
            source_eid: None,
            itr_rlocs,
            queries: vec![Query { eid, notify: false }],
            map_data: None,
            identity: None,
        }
    }

    /// Reads the bytes of a Map-Request.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let head = reader.u32()?;
        if (head >> 28) as u8 != TYPE {
            return Err(Malformed::Type((head >> 28) as u8));
        }
        let nonce = reader.u64()?;
        let source_eid = address::read_eid(&mut reader)?;
        let mut itr_rlocs = Vec::new();
        for _ in 0..=(head >> 8 & 0x1f) {
            itr_rlocs.extend(address::read(&mut reader)?);
        }
        let records = head.to_be_bytes()[3];
        if records == 0 {
            return Err(Malformed::NoRecord);
        }
        let mut queries = Vec::new();
        for _ in 0..records {
            let (flags, mask_length) = (reader.u8()?, reader.u8()?);
            queries.push(Query {
                eid: address::read_prefix(&mut reader, mask_length)?,
                notify: flags & NOTIFY != 0,
            });
        }
        let map_data = (head & MAP_DATA != 0)
            .then(|| Record::read(&mut reader))
            .transpose()?;
        let identity = (head & IDENTITY != 0)
            .then(|| Identity::read(&mut reader))
            .transpose()?;
        reader.end()?;
        Ok(Self {
            flags: RequestFlags::from_bits_truncate(head),
            nonce,
            source_eid: source_eid.map(|(instance, address)| Eid::host(instance, address)),
            itr_rlocs,
            queries,
            map_data,
            identity,
        })
    }

    /// The message, as bytes.
    ///
    /// # Panics
    ///
    /// With more than 32 ITR-RLOCs or 255 queries, which a message has no room for.
    pub fn encode(&self) -> Vec<u8> {
        assert!(
            self.itr_rlocs.len() <= MAX_ITR_RLOCS,
            "a Map-Request has at most 32 ITR-RLOCs"
        );
        let itr_rloc_count = count(&self.itr_rlocs).saturating_sub(1);
        let mut head = u32::from(TYPE) << 28 | self.flags.bits();
        head |= u32::from(itr_rloc_count) << 8 | u32::from(count(&self.queries));
        head |= if self.map_data.is_some() { MAP_DATA } else { 0 };
        head |= if self.identity.is_some() { IDENTITY } else { 0 };
        let mut out = head.to_be_bytes().to_vec();
        out.extend(self.nonce.to_be_bytes());
        match &self.source_eid {
            Some(eid) => address::write_eid(&mut out, eid),
            None => address::write(&mut out, None),
        }
        for rloc in &self.itr_rlocs {
            address::write(&mut out, Some(*rloc));
        }
        if self.itr_rlocs.is_empty() {
            address::write(&mut out, None);
        }
        for query in &self.queries {
            out.extend([
                if query.notify { NOTIFY } else { 0 },
                query.eid.prefix().prefix_len(),
            ]);
            address::write_eid(&mut out, &query.eid);
        }
        if let Some(record) = &self.map_data {
            record.write(&mut out);
        }
        if let Some(identity) = self.identity {
            identity.write(&mut out);
        }
        out
    }
}
