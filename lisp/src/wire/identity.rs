//! Who an xTR is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bytes::Reader;
use super::malformed::Malformed;

/// The bytes of an identity in a message.
pub(super) const IDENTITY_BYTES: usize = 24;

/// The id of an xTR within its site, and the id of the site (RFC 9301 section 5.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    pub xtr_id: u128,
    pub site_id: u64,
}

impl Identity {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            xtr_id: reader.u128()?,
            site_id: reader.u64()?,
        })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend(self.xtr_id.to_be_bytes());
        out.extend(self.site_id.to_be_bytes());
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x} of site {}", self.xtr_id, self.site_id)
    }
}
