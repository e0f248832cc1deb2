//! Endpoint identifiers: an IP prefix within an instance.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The largest instance id that a data packet has room for: 24 bits (RFC 9300 section 5.3).
const MAX_INSTANCE: u32 = 0x00ff_ffff;

/// The Instance ID: one of the address spaces that share a LISP network; 0 where there is only one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct InstanceId(u32);

/// A number that is no instance id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no instance id: it takes at most 24 bits, {MAX_INSTANCE}")]
pub struct NoInstance(pub u32);

impl InstanceId {
    /// The id as a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for InstanceId {
    type Error = NoInstance;

    fn try_from(id: u32) -> Result<Self, NoInstance> {
        (id <= MAX_INSTANCE)
            .then_some(Self(id))
            .ok_or(NoInstance(id))
    }
}

impl From<InstanceId> for u32 {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

/// An EID prefix: the addresses of endpoints that one mapping is for. Bits below the prefix are zero.
///
/// Its text is `10.96.0.10/32`, with an instance `[7]10.96.0.10/32`; an address alone is a prefix of its full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Eid {
    instance: InstanceId,
    prefix: IpNet,
}

/// A text that is no EID prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no EID prefix: write 10.96.0.10/32, 10.96.0.10, or with an instance id [7]10.96.0.0/16"
)]
pub struct NoEid(pub String);

impl Eid {
    /// The prefix in the instance; bits of the address below its length are dropped.
    pub fn new(instance: InstanceId, prefix: IpNet) -> Self {
        Self {
            instance,
            prefix: prefix.trunc(),
        }
    }

    /// The EID prefix of one address.
    pub fn host(instance: InstanceId, address: IpAddr) -> Self {
        Self {
            instance,
            prefix: IpNet::from(address),
        }
    }

    /// The instance that the prefix is in.
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The prefix.
    pub const fn prefix(&self) -> IpNet {
        self.prefix
    }

    /// The first address of the prefix.
    pub fn address(&self) -> IpAddr {
        self.prefix.addr()
    }

    /// Whether every address of `other` is one of this prefix.
    pub fn contains(&self, other: &Self) -> bool {
        self.instance == other.instance && self.prefix.contains(&other.prefix)
    }
}

impl fmt::Display for Eid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.instance.0 != 0 {
            write!(f, "[{}]", self.instance.0)?;
        }
        self.prefix.fmt(f)
    }
}

impl FromStr for Eid {
    type Err = NoEid;

    fn from_str(text: &str) -> Result<Self, NoEid> {
        let parse = || {
            let (instance, prefix) = match text.strip_prefix('[') {
                Some(rest) => {
                    let (id, prefix) = rest.split_once(']')?;
                    (InstanceId::try_from(id.parse::<u32>().ok()?).ok()?, prefix)
                }
                None => (InstanceId::default(), text),
            };
            let prefix = prefix
                .parse::<IpNet>()
                .or_else(|_| prefix.parse::<IpAddr>().map(IpNet::from));
            Some(Self::new(instance, prefix.ok()?))
        };
        parse().ok_or_else(|| NoEid(text.to_owned()))
    }
}

impl TryFrom<String> for Eid {
    type Error = NoEid;

    fn try_from(text: String) -> Result<Self, NoEid> {
        text.parse()
    }
}

impl From<Eid> for String {
    fn from(eid: Eid) -> Self {
        eid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_is_written() {
        for text in [
            "10.96.0.10/32",
            "[7]10.96.0.0/16",
            "2001:db8::/64",
            "0.0.0.0/0",
        ] {
            assert_eq!(text.parse::<Eid>().unwrap().to_string(), text);
        }
        let host: Eid = "10.96.0.10".parse().unwrap();
        assert_eq!(host.to_string(), "10.96.0.10/32");
        let cut: Eid = "10.96.3.10/16".parse().unwrap();
        assert_eq!(cut.to_string(), "10.96.0.0/16");
        for wrong in [
            "",
            "[7]",
            "[16777216]10.0.0.0/8",
            "10.0.0.0/33",
            "7]10.0.0.0/8",
            "[7 10.0.0.0/8",
        ] {
            assert!(wrong.parse::<Eid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn instances_do_not_mix() {
        let (pool, inside, foreign) = ("[7]10.0.0.0/8", "[7]10.1.0.0/16", "[8]10.1.0.0/16");
        let eid = |text: &str| text.parse::<Eid>().unwrap();
        assert!(eid(pool).contains(&eid(inside)) && !eid(pool).contains(&eid(foreign)));
        assert!(!eid(inside).contains(&eid(pool)));
    }
}
