//! The size of a picture.

use std::fmt;
use std::str::FromStr;

use crate::UnitError;

/// A picture's size in pixels: even (4:2:0 halves both sides), and large enough for the stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VideoSize {
    width: u32,
    height: u32,
}

/// The largest side that [`VideoSize`] takes: 8K, the end of H.264's level 6.2.
const MAX_SIDE: u32 = 8192;
/// The smallest picture in which the stamp stays readable (the crate `stamp` has the same numbers).
const MIN_SIZE: (u32, u32) = (640, 360);

impl VideoSize {
    /// 1280x720 pixels (720p).
    pub const HD: Self = Self {
        width: 1280,
        height: 720,
    };

    /// 640x360, the smallest picture in which the stamp stays readable.
    pub const SMALLEST: Self = Self {
        width: MIN_SIZE.0,
        height: MIN_SIZE.1,
    };

    /// A size of `width` x `height` pixels.
    pub fn new(width: u32, height: u32) -> Result<Self, UnitError> {
        let problem = if width < MIN_SIZE.0 || height < MIN_SIZE.1 {
            "is smaller than 640x360, the smallest picture in which the stamp can be read; take at least 640x360"
        } else if width > MAX_SIDE || height > MAX_SIDE {
            "has a side above 8192 pixels, more than H.264 codes; take a smaller size"
        } else if !width.is_multiple_of(2) || !height.is_multiple_of(2) {
            "has an odd side, which 4:2:0 video cannot have; take even numbers"
        } else {
            return Ok(Self { width, height });
        };
        Err(UnitError(format!("{width}x{height} {problem}")))
    }

    /// The width in pixels.
    pub const fn width(self) -> u32 {
        self.width
    }

    /// The height in pixels.
    pub const fn height(self) -> u32 {
        self.height
    }
}

impl FromStr for VideoSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let sides = text
            .split_once(['x', 'X'])
            .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        let Some((width, height)) = sides else {
            return Err(UnitError(format!(
                "'{text}' is no size; write WIDTHxHEIGHT in pixels, as 1280x720"
            )));
        };
        Self::new(width, height)
    }
}

impl fmt::Display for VideoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

by_text!(VideoSize, "WIDTHxHEIGHT in quotes, such as \"1280x720\"");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_a_remedy() {
        assert_eq!("1280x720".parse(), Ok(VideoSize::HD));
        let error = |text: &str| text.parse::<VideoSize>().unwrap_err().to_string();
        for (text, says) in [
            ("320x240", "at least 640x360"),
            ("1281x720", "even"),
            ("9000x720", "8192"),
            ("720p", "1280x720"),
            ("1280x", "1280x720"),
        ] {
            assert!(error(text).contains(says), "{}", error(text));
        }
    }

    proptest! {
        #[test]
        fn reading_is_total_and_what_is_written_reads_back(text in ".{0,24}", width in 0_u32..10_000, height in 0_u32..10_000) {
            let _ = text.parse::<VideoSize>();
            if let Ok(size) = VideoSize::new(width, height) {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }
    }
}
