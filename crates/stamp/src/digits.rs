//! The lines of digits as pixels: for people, and for Tesseract.

use crate::content::Stamp;
use crate::layout::WHITE;
use crate::{Plane, PlaneMut, blocks, line};

/// Width of a line's strip in pixels.
pub const STRIP_WIDTH: usize = BAND_WIDTH;

/// Height of a line's strip in pixels.
pub const STRIP_HEIGHT: usize = BAND_HEIGHT;

/// One of the two lines of digits in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// When the frame was made: drawn by the renderer.
    Generation,
    /// When the frame was shown: drawn by the client.
    Consumption,
}

impl Line {
    /// The row where the line's band begins.
    const fn top(self) -> usize {
        match self {
            Self::Generation => TOP,
            Self::Consumption => TOP + BAND_HEIGHT,
        }
    }
}

/// The row where the first band begins, right below the blocks.
pub(crate) const TOP: usize = blocks::ROWS * blocks::SIZE;

/// The white band of a line, in pixels: a cell for each character, and one of white at either end.
pub(crate) const BAND_WIDTH: usize = (line::LENGTH + 2) * GLYPH_WIDTH;
pub(crate) const BAND_HEIGHT: usize = 2 * blocks::SIZE;

/// A cell is as wide as a macroblock: no transform of the encoder holds more than one digit. Tesseract misses digits in
/// runs of equal ones when they are set narrower than this for their height.
const GLYPH_WIDTH: usize = blocks::SIZE;
const GLYPH_HEIGHT: usize = 20;

/// White above and below the text.
const ABOVE: usize = (BAND_HEIGHT - GLYPH_HEIGHT) / 2;

/// The ten digits below each other, in luma: `DejaVu Sans Mono`, the face that Tesseract read best of those tried. They
/// were rasterised once and are kept, so that the stamp is the same on every machine.
static GLYPHS: &[u8] = {
    let file = include_bytes!("digits.pgm");
    file.split_at(file.len() - 10 * GLYPH_SIZE).1
};
const GLYPH_SIZE: usize = GLYPH_WIDTH * GLYPH_HEIGHT;

/// Draws the client's line below the renderer's.
///
/// It allocates nothing; what does not fit a smaller plane is left out.
pub fn draw_consumption(luma: &mut PlaneMut<'_>, stamp: Stamp) {
    draw(luma, Line::Consumption, stamp);
}

/// Draws a line's band and its text.
pub(crate) fn draw(luma: &mut PlaneMut<'_>, line: Line, stamp: Stamp) {
    let text = line::ascii(stamp);
    for y in 0..BAND_HEIGHT {
        let band = luma.span_mut(line.top() + y, 0, BAND_WIDTH);
        band.fill(WHITE);
        let row = y.wrapping_sub(ABOVE);
        if row >= GLYPH_HEIGHT {
            continue;
        }
        for (cell, character) in band.chunks_exact_mut(GLYPH_WIDTH).skip(1).zip(text) {
            let digit = usize::from(character.wrapping_sub(b'0'));
            if digit < 10 {
                let from = digit * GLYPH_SIZE + row * GLYPH_WIDTH;
                cell.copy_from_slice(&GLYPHS[from..from + GLYPH_WIDTH]);
            }
        }
    }
}

/// Appends the strip of one line to `out`: [`STRIP_WIDTH`] x [`STRIP_HEIGHT`] grey pixels, row by row.
///
/// Always that many bytes: where the plane is too small for the line, the strip is white.
pub fn strip(luma: &Plane<'_>, line: Line, out: &mut Vec<u8>) {
    out.reserve(STRIP_WIDTH * STRIP_HEIGHT);
    for y in line.top()..line.top() + STRIP_HEIGHT {
        let span = luma.span(y, 0, STRIP_WIDTH);
        out.extend_from_slice(span);
        out.resize(out.len() + STRIP_WIDTH - span.len(), u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::BLACK;

    #[test]
    fn the_font_is_ten_different_digits_in_luma() {
        let glyphs: Vec<&[u8]> = GLYPHS.chunks_exact(GLYPH_SIZE).collect();
        assert_eq!(glyphs.len(), 10);
        for (digit, glyph) in glyphs.iter().enumerate() {
            assert_eq!(glyph.iter().min(), Some(&BLACK), "{digit} has ink");
            assert_eq!(glyph.iter().max(), Some(&WHITE), "{digit} stands on white");
            assert!(
                !glyphs[..digit].contains(glyph),
                "{digit} is drawn like a lower one"
            );
        }
    }
}
