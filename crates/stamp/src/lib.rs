//! The stamp in the picture: drawing it and reading it.
//!
//! A frame of the pipeline carries who it is and when it was made in its own pixels, so that the measurement survives
//! every transport, player and recorder in between. The same content stands there twice, for two kinds of reader:
//!
//! - **blocks**: 120 bits as black and white squares of 16x16 pixels on the encoder's macroblock grid, checked by a
//!   CRC-32; a program reads them in microseconds ([`read_blocks`]);
//! - **digits**: a line of text with check digits, which people and Tesseract read ([`mod@line`]).
//!
//! The renderer draws the blocks and the *generation* line just before the encoder ([`draw_generation`]); the client
//! draws the *consumption* line below it after decoding ([`draw_consumption`]).
//!
//! # Layout
//!
//! Fixed from the picture's top left corner, the same at every size from [`MIN_WIDTH`] x [`MIN_HEIGHT`] up. Numbers are
//! pixels of luma; every edge lies on the macroblock grid.
//!
//! ```text
//!     0                                                              640
//!   0 +---------------------------------------------------------------+- - -
//!     | 40 blocks: frame number, 32 bits; then 8 bits of the time     |
//!  16 | 40 blocks: time, 40 bits                                      |
//!  32 | 40 blocks: time, 8 bits; then CRC-32 of frame number and time |
//!  48 +-------------------------------------------------+ 512         |
//!     | 00000123 1763000000000000 3935   generation     |   the       |
//!  80 +-------------------------------------------------+   picture   |
//!     | 00000123 1763000000011250 9348   consumption    |   goes on   |
//! 112 +-------------------------------------------------+             |
//!     |                                                               |
//! ```
//!
//! Bits are sent most significant first, white (luma 235) for one and black (16) for zero. The lines are black digits
//! on a white band. Chroma under all of it is neutral ([`clear_chroma`]).
//!
//! Reading is total: no picture, no line and no slice makes it panic, and whatever fails its check is [`Unread`].

mod blocks;
mod digits;
pub mod line;
mod plane;

pub use blocks::read_blocks;
pub use digits::{Line, STRIP_HEIGHT, STRIP_WIDTH, draw_consumption, strip};
pub use plane::{Plane, PlaneError, PlaneMut};

/// The narrowest picture that a stamp fits, in pixels.
pub const MIN_WIDTH: usize = 640;

/// The lowest picture that a stamp fits, in pixels, with more than half of it left for the picture itself.
pub const MIN_HEIGHT: usize = 360;

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

/// Why a stamp could not be read. Such a frame is counted, and is never a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unread {
    /// The picture is smaller than any that carries a stamp.
    #[error(
        "a picture of {width}x{height} pixels has no room for a stamp (at least {MIN_WIDTH}x{MIN_HEIGHT})"
    )]
    TooSmall {
        /// Pixels.
        width: usize,
        /// Pixels.
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
    #[error("{found} digits where {} belong", line::DIGITS)]
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

/// Draws the renderer's stamp, blocks and generation line, into a luma plane.
///
/// It allocates nothing. On a plane smaller than [`MIN_WIDTH`] x [`MIN_HEIGHT`] what does not fit is left out, and the
/// stamp cannot be read.
pub fn draw_generation(luma: &mut PlaneMut<'_>, stamp: Stamp) {
    blocks::draw(luma, stamp);
    digits::draw(luma, Line::Generation, stamp);
}

/// Makes the colour under the whole stamp neutral. Call it for each of the two chroma planes of a 4:2:0 picture.
pub fn clear_chroma(plane: &mut PlaneMut<'_>) {
    plane.fill(
        0,
        0,
        MIN_WIDTH / 2,
        blocks::ROWS * blocks::SIZE / 2,
        NEUTRAL,
    );
    plane.fill(
        0,
        digits::TOP / 2,
        digits::BAND_WIDTH / 2,
        digits::BAND_HEIGHT,
        NEUTRAL,
    );
}

/// Chroma without colour.
const NEUTRAL: u8 = 128;

/// Black of studio-range luma (ITU-R BT.601).
const BLACK: u8 = 16;

/// White of studio-range luma (ITU-R BT.601).
const WHITE: u8 = 235;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_drawn_above_is_the_one_in_use() {
        let text = include_str!("lib.rs");
        for time_us in [1_763_000_000_000_000, 1_763_000_000_011_250] {
            let line = line::format(Stamp {
                frame: 123,
                time_us,
            });
            assert!(text.contains(&format!("| {line} ")), "{line}");
        }
        assert_eq!(
            (digits::TOP, digits::TOP + 2 * STRIP_HEIGHT, STRIP_WIDTH),
            (48, 112, 512)
        );
    }
}
