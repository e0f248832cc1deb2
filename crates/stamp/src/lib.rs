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

#![warn(missing_docs)]

mod blocks;
mod content;
mod digits;
mod draw;
mod layout;
pub mod line;
mod plane;

pub use blocks::read_blocks;
pub use content::{Stamp, Unread};
pub use digits::{Line, STRIP_HEIGHT, STRIP_WIDTH, draw_consumption, strip};
pub use draw::{clear_chroma, draw_generation};
pub use layout::{MIN_HEIGHT, MIN_WIDTH};
pub use plane::{Plane, PlaneError, PlaneMut};

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
