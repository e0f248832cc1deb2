//! The names of a frame, of an instant and of a client: newtypes, so that a number of microseconds is never taken for a
//! frame number.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The RTP clock of video, in ticks a second (RFC 6184 section 8.2.1).
pub const RTP_CLOCK_HZ: u32 = 90_000;

/// An instant: microseconds since the Unix epoch, on the clock of the host that read it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct UnixMicros(pub u64);

impl UnixMicros {
    /// Microseconds from `earlier` to `self`; negative when the clocks disagree about which came first.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

impl fmt::Display for UnixMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of a frame in its renderer's schedule, from 0 at the renderer's start.
///
/// A tick of the schedule for which no frame could be produced leaves a gap, so that gaps count what was never produced.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FrameNumber(pub u32);

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The RTP timestamp of a frame, which is also its key: every service can name the frame without looking at pixels.
///
/// It is the generation time in ticks of [`RTP_CLOCK_HZ`], modulo 2^32, so it repeats after 13 hours and 15 minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RtpTimestamp(pub u32);

impl RtpTimestamp {
    /// The key of the frame generated at `generated`: microseconds x 9/100, modulo 2^32.
    pub const fn from_generated(generated: UnixMicros) -> Self {
        let ticks = generated.0 as u128 * 9 / 100;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "modulo 2^32 is the definition"
        )]
        Self(ticks as u32)
    }

    /// Ticks from `earlier` to `self` across the wrap (RFC 3550 section 5.1): negative when `self` is the older.
    pub const fn ticks_since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

impl fmt::Display for RtpTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name that a client posts its reports under. It goes into paths, tables and logs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(Arc<str>);

/// A text that cannot be a [`ClientName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a client's name is 1 to 64 letters, digits, dots, dashes and underscores")]
pub struct NotAClientName;

impl ClientName {
    /// The name, if it is one.
    pub fn new(name: &str) -> Result<Self, NotAClientName> {
        let sound = (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        sound.then(|| Self(name.into())).ok_or(NotAClientName)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientName {
    type Error = NotAClientName;

    fn try_from(name: String) -> Result<Self, NotAClientName> {
        Self::new(&name)
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_name_is_safe_in_a_path_and_in_a_cell() {
        for name in ["client-1.a_b", "x"] {
            assert_eq!(ClientName::new(name).unwrap().as_str(), name);
        }
        for name in ["", "a/b", "a,b", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(ClientName::new(name), Err(NotAClientName), "{name:?}");
        }
    }

    #[test]
    fn an_hour_is_that_many_ticks() {
        let start = UnixMicros(1_763_000_000_000_000);
        let end = UnixMicros(start.0 + 3_600_000_000);
        let ticks =
            RtpTimestamp::from_generated(end).ticks_since(RtpTimestamp::from_generated(start));
        assert_eq!(ticks, 3_600 * 90_000);
    }

    proptest! {
        /// Frames at least 12 microseconds apart never share a key, so no two frames of a real stream do.
        #[test]
        fn neighbours_have_different_keys(start in 0..u64::MAX / 16, gap in 12_u64..1_000_000) {
            let first = RtpTimestamp::from_generated(UnixMicros(start));
            let second = RtpTimestamp::from_generated(UnixMicros(start + gap));
            prop_assert!(second.ticks_since(first) > 0);
        }
    }
}
