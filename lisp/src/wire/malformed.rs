//! Why bytes are no message.

/// A reason for which bytes are no LISP control message that is understood here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The message ends before its fields do.
    #[error("it ends at byte {0}, within a field")]
    Truncated(usize),
    /// Bytes follow its last field.
    #[error("{0} bytes follow its last field")]
    Trailing(usize),
    /// More bytes than any message has here.
    #[error("{0} bytes are too many")]
    TooLong(usize),
    /// A type that is not in use here.
    #[error("type {0} is not in use")]
    Type(u8),
    /// RFC 9301 section 5.1: "LISP control plane messages that include an unrecognized AFI MUST be dropped".
    #[error("address family {0} is unknown")]
    Afi(u16),
    /// A canonical address that is no IP address with an instance id.
    #[error("an address of LCAF type {0} is not understood")]
    Lcaf(u8),
    /// A prefix that is longer than its address.
    #[error("a prefix of {0} bits is longer than its address")]
    MaskLength(u8),
    /// An instance id above 24 bits.
    #[error("{0} is no instance id")]
    Instance(u32),
    /// The message has no record.
    #[error("it has no record")]
    NoRecord,
    /// Authentication data that are longer than any.
    #[error("{0} bytes of authentication data are too many")]
    Authentication(usize),
    /// The encapsulated packet is none, or has no message.
    #[error("it encapsulates {0}")]
    Encapsulated(&'static str),
}
