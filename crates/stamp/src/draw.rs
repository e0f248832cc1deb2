//! Drawing of a whole stamp: blocks and line into the luma plane, and neutral colour under both.

use crate::content::Stamp;
use crate::digits::{self, Line};
use crate::layout::MIN_WIDTH;
use crate::{PlaneMut, blocks};

/// The chroma value of grey.
const NEUTRAL: u8 = 128;

/// Draws the renderer's stamp, blocks and generation line, into a luma plane.
///
/// It allocates nothing. On a plane smaller than [`MIN_WIDTH`] x [`MIN_HEIGHT`](crate::MIN_HEIGHT) what does not fit is left out, and the
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
