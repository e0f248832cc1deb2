//! Any control message.

use super::encapsulated::{self, Encapsulated};
use super::malformed::Malformed;
use super::reply::{self, MapReply};
use super::request::{self, MapRequest};
use super::signed::Signed;

/// The longest message that is read, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4096;

/// A control message of a type that is in use here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Request(MapRequest),
    Reply(MapReply),
    Signed(Signed),
    Encapsulated(Box<Encapsulated>),
}

impl Message {
    /// Reads the payload of a datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(Malformed::TooLong(bytes.len()));
        }
        let kind = bytes.first().ok_or(Malformed::Truncated(0))? >> 4;
        match kind {
            request::TYPE => MapRequest::parse(bytes).map(Self::Request),
            reply::TYPE => MapReply::parse(bytes).map(Self::Reply),
            encapsulated::TYPE => {
                Encapsulated::parse(bytes).map(|one| Self::Encapsulated(Box::new(one)))
            }
            _ => Signed::parse(bytes).map(Self::Signed),
        }
    }
}
