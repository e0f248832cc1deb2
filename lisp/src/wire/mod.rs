//! Control messages of LISP as bytes: RFC 9301 types 1 to 5 and 8, RFC 9437, and instance ids of RFC 8060.
//!
//! Parsers are total: any bytes give a message or say why not, and every list is as long as its message at most.

mod address;
mod bytes;
mod encapsulated;
mod identity;
mod malformed;
mod message;
mod record;
mod reply;
mod request;
mod signed;
#[cfg(test)]
mod tests;

pub use encapsulated::Encapsulated;
pub use identity::Identity;
pub use malformed::Malformed;
pub use message::{MAX_MESSAGE_BYTES, Message};
pub use record::{Action, Locator, NoLocator, PRIORITY_LAST, PRIORITY_UNUSED, Record, TTL_OPEN};
pub use reply::{MapReply, ReplyFlags};
pub use request::{MapRequest, Query, RequestFlags};
pub use signed::{RegisterFlags, Signed, SignedKind};
