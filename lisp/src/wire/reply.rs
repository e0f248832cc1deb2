//! Map-Replies (RFC 9301 section 5.4).

use bitflags::bitflags;

use super::bytes::{Reader, count};
use super::malformed::Malformed;
use super::record::{self, Record};

/// The type of a Map-Reply.
pub(super) const TYPE: u8 = 2;

bitflags! {
    /// The flags of a Map-Reply.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct ReplyFlags: u32 {
        /// P: an answer to a probe.
        const PROBE = 0x0800_0000;
        /// E: the sender can echo nonces.
        const ECHO_NONCE = 0x0400_0000;
        /// S: authentication data of LISP-SEC follow (RFC 9303), which are not read here.
        const SECURITY = 0x0200_0000;
    }
}

/// A Map-Reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapReply {
    pub flags: ReplyFlags,
    /// The nonce of the Map-Request.
    pub nonce: u64,
    pub records: Vec<Record>,
}

impl MapReply {
    /// Reads the bytes of a Map-Reply.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let head = reader.u32()?;
        if (head >> 28) as u8 != TYPE {
            return Err(Malformed::Type((head >> 28) as u8));
        }
        let nonce = reader.u64()?;
        let records = record::read_all(&mut reader, head.to_be_bytes()[3])?;
        let flags = ReplyFlags::from_bits_truncate(head);
        if !flags.contains(ReplyFlags::SECURITY) {
            reader.end()?;
        }
        Ok(Self {
            flags,
            nonce,
            records,
        })
    }

    /// The message as bytes.
    ///
    /// # Panics
    ///
    /// With more than 255 records, which a message has no room for.
    pub fn encode(&self) -> Vec<u8> {
        let head = u32::from(TYPE) << 28 | self.flags.bits() | u32::from(count(&self.records));
        let mut out = head.to_be_bytes().to_vec();
        out.extend(self.nonce.to_be_bytes());
        for record in &self.records {
            record.write(&mut out);
        }
        out
    }
}
