//! What a stamp says, and why one could not be read.

use crate::layout::{DIGITS, MIN_HEIGHT, MIN_WIDTH};

/// What a stamp says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The frame's number, from 0; a stamp shows it modulo [`Stamp::FRAMES`].
    pub frame: u32,
    /// An instant in microseconds since the Unix epoch; a stamp shows it modulo [`Stamp::TIMES_US`].
    pub time_us: u64,
}

impl Stamp {
    /// How many frame numbers a stamp tells apart: eight digits, 19 days at 60 frames a second.
    pub const FRAMES: u32 = 100_000_000;

    /// How many instants a stamp tells apart, in microseconds: sixteen digits, until November of the year 2286.
    pub const TIMES_US: u64 = 10_000_000_000_000_000;

    /// The stamp as it is drawn and read back: both numbers within what the digits can show, so that a reading of the
    /// blocks and one of the digits are equal.
    #[must_use]
    pub const fn wrapped(self) -> Self {
        Self {
            frame: self.frame % Self::FRAMES,
            time_us: self.time_us % Self::TIMES_US,
        }
    }
}

/// The reason why a stamp could not be read. Such a frame is counted, and is never a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// The picture is smaller than any that carries a stamp.
    #[error(
        "a picture of {width}x{height} pixels has no room for a stamp (at least {MIN_WIDTH}x{MIN_HEIGHT})"
    )]
    TooSmall {
        /// Width of the picture in pixels.
        width: usize,
        /// Height of the picture in pixels.
        height: usize,
    },
    /// The blocks are all of about the same grey: there is no stamp, or it was painted over.
    #[error("the brightest and the darkest block are only {spread} grey levels apart")]
    NoContrast {
        /// Levels of luma, of 255.
        spread: u8,
    },
    /// The check over what was read does not hold.
    #[error("the check does not hold")]
    Check,
    /// A line of text has another number of digits.
    #[error("{found} digits where {} belong", DIGITS)]
    Length {
        /// Digits found, white space not counted.
        found: usize,
    },
    /// A line of text holds something that is neither a digit nor white space.
    #[error("{found:?} is no digit")]
    NotADigit {
        /// The first such character.
        found: char,
    },
}
