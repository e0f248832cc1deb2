//! The numbers and words of the draft: why a stream or a connection ends, and how versions are told apart. Pure.

use std::fmt;

/// Versions of the draft that are spoken, newest first, as ALPN has them. Only the RFC itself may be called `roq`.
///
/// The packets on the wire are the same in all of them.
pub const ALPN: [&[u8]; 6] = [
    b"roq-14", b"roq-13", b"roq-12", b"roq-11", b"roq-10", b"roq-09",
];

/// The reason why a stream or a connection ends, as the draft numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Nothing is wrong, and nothing is left to say.
    NoError,
    /// Something is wrong that has no number of its own.
    GeneralError,
    /// The sender of the code has an error of its own.
    InternalError,
    /// A packet was not what it should be.
    PacketError,
    /// A stream that must not be opened.
    StreamCreationError,
    /// The frame of a stream is no longer wanted.
    FrameCancelled,
    /// No flow has that identifier.
    UnknownFlowId,
    /// Something that was agreed upon is not there.
    ExpectationUnmet,
}

impl Code {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::NoError,
        Self::GeneralError,
        Self::InternalError,
        Self::PacketError,
        Self::StreamCreationError,
        Self::FrameCancelled,
        Self::UnknownFlowId,
        Self::ExpectationUnmet,
    ];

    /// The number that goes over the wire.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The code with this number; none where the draft has none.
    pub fn of(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

impl From<Code> for quinn::VarInt {
    fn from(code: Code) -> Self {
        Self::from_u32(code.number())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "ROQ_NO_ERROR",
            Self::GeneralError => "ROQ_GENERAL_ERROR",
            Self::InternalError => "ROQ_INTERNAL_ERROR",
            Self::PacketError => "ROQ_PACKET_ERROR",
            Self::StreamCreationError => "ROQ_STREAM_CREATION_ERROR",
            Self::FrameCancelled => "ROQ_FRAME_CANCELLED",
            Self::UnknownFlowId => "ROQ_UNKNOWN_FLOW_ID",
            Self::ExpectationUnmet => "ROQ_EXPECTATION_UNMET",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_numbers_of_the_draft() {
        for (number, code) in (0..).zip(Code::ALL) {
            assert_eq!(code.number(), number);
            assert_eq!(Code::of(u64::from(number)), Some(code));
        }
        assert_eq!(Code::FrameCancelled.number(), 0x05);
        assert_eq!(Code::of(8), None);
        assert_eq!(Code::of(u64::MAX), None);
    }
}
