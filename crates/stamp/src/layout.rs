//! Sizes and levels of luma that drawing and reading have in common.

/// The narrowest picture that a stamp fits, in pixels.
pub const MIN_WIDTH: usize = 640;

/// The lowest picture that a stamp fits, in pixels, with more than half of it left for the picture itself.
pub const MIN_HEIGHT: usize = 360;

/// Digits in a line.
pub const DIGITS: usize = FRAME_DIGITS + TIME_DIGITS + CHECK_DIGITS;

/// Digits of the frame number.
pub(crate) const FRAME_DIGITS: usize = 8;

/// Digits of the time.
pub(crate) const TIME_DIGITS: usize = 16;

/// Check digits at the line's end.
const CHECK_DIGITS: usize = 4;

/// Black of studio-range luma (ITU-R BT.601).
pub(crate) const BLACK: u8 = 16;

/// White of studio-range luma (ITU-R BT.601).
pub(crate) const WHITE: u8 = 235;
