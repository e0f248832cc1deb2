//! The three messages that are authenticated, which have one layout: Map-Register, Map-Notify and Map-Notify-Ack
//! (RFC 9301 sections 5.6 and 5.7).

use bitflags::bitflags;

use super::bytes::{Reader, count};
use super::identity::{IDENTITY_BYTES, Identity};
use super::malformed::Malformed;
use super::record::{self, Record};
use crate::auth::Key;

/// The types of the messages.
const REGISTER: u8 = 3;
const NOTIFY: u8 = 4;
const NOTIFY_ACK: u8 = 5;

/// The xTR-ID and the Site-ID follow: the I bit of a Map-Register.
const IDENTITY: u32 = 0x0200_0000;

/// More authentication data than any algorithm has.
const MAX_AUTH_BYTES: usize = 64;

bitflags! {
    /// The flags of a Map-Register.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct RegisterFlags: u32 {
        /// P: the Map-Server is to answer Map-Requests itself.
        const PROXY_REPLY = 0x0800_0000;
        /// S: the ETR knows LISP-SEC.
        const SECURITY = 0x0400_0000;
        /// E: EID-notify, of a mobile EID.
        const EID_NOTIFY = 0x0000_1000;
        /// T: the record's TTL is the registration's time, in place of three minutes.
        const USE_TTL = 0x0000_0800;
        /// a: locators of several xTRs for one EID are merged.
        const MERGE = 0x0000_0400;
        /// M: a Map-Notify is wanted.
        const WANT_NOTIFY = 0x0000_0100;
    }
}

/// Which of the messages it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedKind {
    Register(RegisterFlags),
    Notify,
    NotifyAck,
}

/// A Map-Register, Map-Notify or Map-Notify-Ack. Who signed it is known once [`crate::auth::KeyRing::verify`] has taken its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub kind: SignedKind,
    pub nonce: u64,
    pub records: Vec<Record>,
    pub identity: Option<Identity>,
}

impl Signed {
    /// Reads the bytes of such a message; its authentication data are not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let head = reader.u32()?;
        let kind = match (head >> 28) as u8 {
            REGISTER => SignedKind::Register(RegisterFlags::from_bits_truncate(head)),
            NOTIFY => SignedKind::Notify,
            NOTIFY_ACK => SignedKind::NotifyAck,
            other => return Err(Malformed::Type(other)),
        };
        let nonce = reader.u64()?;
        let _key_and_algorithm = reader.u16()?;
        let length = usize::from(reader.u16()?);
        if length > MAX_AUTH_BYTES {
            return Err(Malformed::Authentication(length));
        }
        reader.slice(length)?;
        let records = record::read_all(&mut reader, head.to_be_bytes()[3])?;
        let follows = match kind {
            SignedKind::Register(_) => head & IDENTITY != 0,
            // Their heads have no bit for it, and some peers copy the identity of the Map-Register.
            SignedKind::Notify | SignedKind::NotifyAck => reader.rest().len() == IDENTITY_BYTES,
        };
        let identity = follows.then(|| Identity::read(&mut reader)).transpose()?;
        reader.end()?;
        Ok(Self {
            kind,
            nonce,
            records,
            identity,
        })
    }

    /// The message, signed, as bytes.
    ///
    /// # Panics
    ///
    /// With more than 255 records, which a message has no room for.
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let (kind, flags) = match self.kind {
            SignedKind::Register(flags) => {
                let identity = if self.identity.is_some() { IDENTITY } else { 0 };
                (REGISTER, flags.bits() | identity)
            }
            SignedKind::Notify => (NOTIFY, 0),
            SignedKind::NotifyAck => (NOTIFY_ACK, 0),
        };
        let head = u32::from(kind) << 28 | flags | u32::from(count(&self.records));
        let mac_bytes = u16::try_from(key.mac_bytes()).expect("a MAC has at most 32 bytes");
        let mut out = head.to_be_bytes().to_vec();
        out.extend(self.nonce.to_be_bytes());
        out.extend([key.id(), key.algorithm().id()]);
        out.extend(mac_bytes.to_be_bytes());
        out.resize(out.len() + key.mac_bytes(), 0);
        for record in &self.records {
            record.write(&mut out);
        }
        if let Some(identity) = self.identity {
            identity.write(&mut out);
        }
        key.sign(&mut out);
        out
    }
}
