//! Sizes, rates and bit rates as people write them on a command line, checked where they are read.

use std::fmt;
use std::str::FromStr;

/// A value that does not parse: what is wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

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
    /// A size of `width` x `height` pixels.
    pub fn new(width: u32, height: u32) -> Result<Self, UnitError> {
        let problem = if width < MIN_SIZE.0 || height < MIN_SIZE.1 {
            "is smaller than 640x360, the smallest picture in which the stamp can be read; take 640x360 or more"
        } else if width > MAX_SIDE || height > MAX_SIDE {
            "has a side above 8192 pixels, more than H.264 codes; take a smaller size"
        } else if !width.is_multiple_of(2) || !height.is_multiple_of(2) {
            "has an odd side, which 4:2:0 video cannot have; take even numbers"
        } else {
            return Ok(Self { width, height });
        };
        Err(UnitError(format!("{width}x{height} {problem}")))
    }

    /// Width in pixels.
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Height in pixels.
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

/// Frames a second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRate {
    numerator: u32,
    denominator: u32,
}

impl FrameRate {
    /// `numerator`/`denominator` frames a second; between 1 and 480.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, UnitError> {
        let at_least_one = denominator > 0 && numerator >= denominator;
        if !at_least_one || u64::from(numerator) > 480 * u64::from(denominator) {
            return Err(UnitError(format!(
                "{numerator}/{denominator} frames a second is outside 1 to 480; take a rate in that range"
            )));
        }
        Ok(Self {
            numerator,
            denominator,
        })
    }

    /// Frames in [`Self::denominator`] seconds.
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// Seconds that [`Self::numerator`] frames take.
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// Frames a second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// Nanoseconds from the first frame to frame `frame`, rounded down: computed anew for each frame, so that it cannot drift.
    pub const fn nanos_until(self, frame: u64) -> u64 {
        let nanos =
            frame as u128 * self.denominator as u128 * 1_000_000_000 / self.numerator as u128;
        if nanos > u64::MAX as u128 {
            return u64::MAX;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "compared with u64::MAX just above"
        )]
        let nanos = nanos as u64;
        nanos
    }

    /// The last frame that is due when `nanos` nanoseconds have passed since the first.
    pub const fn frame_due_at(self, nanos: u64) -> u64 {
        // nanos_until rounds down: the frame due at N is the last one whose rounded time is at most N.
        let frames = (nanos as u128 + 1) * self.numerator as u128;
        let divisor = self.denominator as u128 * 1_000_000_000;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 480 frames a second of 2^64 nanoseconds"
        )]
        let frame = ((frames - 1) / divisor) as u64;
        frame
    }
}

impl FromStr for FrameRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let (Ok(numerator), Ok(denominator)) = (numerator.parse(), denominator.parse()) else {
            return Err(UnitError(format!(
                "'{text}' is no frame rate; write frames a second, as 60, or a fraction, as 30000/1001"
            )));
        };
        Self::new(numerator, denominator)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 {
            return self.numerator.fmt(f);
        }
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

/// Bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u32);

impl Bitrate {
    /// What 1280x720 at 60 frames a second takes.
    pub const SIX_MEGABITS: Self = Self(6_000_000);

    /// `bits_per_second`; between 50 kbit/s and 400 Mbit/s.
    pub fn new(bits_per_second: u64) -> Result<Self, UnitError> {
        match u32::try_from(bits_per_second) {
            Ok(bits @ 50_000..=400_000_000) => Ok(Self(bits)),
            _ => Err(UnitError(format!(
                "{bits_per_second} bit/s is outside 50k to 400M; a picture of 1280x720 at 60 frames a second takes about 6M"
            ))),
        }
    }

    /// Bits a second.
    pub const fn bits_per_second(self) -> u32 {
        self.0
    }

    /// Thousands of bits a second, which is what `x264enc` takes.
    pub const fn kilobits_per_second(self) -> u32 {
        self.0 / 1000
    }
}

impl FromStr for Bitrate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, scale) = match text.strip_suffix(['M', 'm']) {
            Some(number) => (number, 1e6),
            None => match text.strip_suffix(['k', 'K']) {
                Some(number) => (number, 1e3),
                None => (text, 1.0),
            },
        };
        let digits = !number.is_empty()
            && number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let Some(number) = number.parse::<f64>().ok().filter(|_| digits) else {
            return Err(UnitError(format!(
                "'{text}' is no bit rate; write bits a second with k or M, as 800k or 6M"
            )));
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates; digits only"
        )]
        Self::new((number * scale).round() as u64)
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits.is_multiple_of(1_000_000) => write!(f, "{}M", bits / 1_000_000),
            bits if bits.is_multiple_of(1_000) => write!(f, "{}k", bits / 1_000),
            bits => bits.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!("1280x720".parse(), VideoSize::new(1280, 720));
        assert_eq!("60".parse(), FrameRate::new(60, 1));
        assert_eq!("30000/1001".parse(), FrameRate::new(30_000, 1_001));
        for (text, bits) in [
            ("6M", 6_000_000),
            ("800k", 800_000),
            ("1.5M", 1_500_000),
            ("250000", 250_000),
        ] {
            assert_eq!(
                text.parse::<Bitrate>().unwrap().bits_per_second(),
                bits,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_a_remedy() {
        let size = |text: &str| text.parse::<VideoSize>().unwrap_err().to_string();
        assert!(size("320x240").contains("640x360"), "{}", size("320x240"));
        assert!(size("1281x720").contains("even"));
        assert!(size("9000x720").contains("8192"));
        assert!(size("720p").contains("1280x720"));
        for bad in ["0", "0/0", "1/0", "481", "-3", "sixty", "1/2", ""] {
            assert!(bad.parse::<FrameRate>().is_err(), "{bad}");
        }
        for bad in [
            "", "M", "6G", "10", "-6M", "1e9", "NaN", "inf", "6 M", "500M",
        ] {
            assert!(bad.parse::<Bitrate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_hour_of_ntsc_does_not_drift() {
        let rate = FrameRate::new(30_000, 1_001).unwrap();
        assert_eq!(rate.nanos_until(30_000), 1_001_000_000_000);
        assert_eq!(rate.frame_due_at(1_001_000_000_000), 30_000);
    }

    proptest! {
        #[test]
        fn a_frame_is_due_at_its_time_and_not_before(frame in 0_u64..1 << 33, numerator in 1_u32..60_000, denominator in 1_u32..1002) {
            prop_assume!(FrameRate::new(numerator, denominator).is_ok());
            let rate = FrameRate::new(numerator, denominator).unwrap();
            let due = rate.nanos_until(frame);
            prop_assert_eq!(rate.frame_due_at(due), frame);
            if due > 0 {
                prop_assert_eq!(rate.frame_due_at(due - 1), frame - 1);
            }
        }

        #[test]
        fn reading_is_total(text in ".{0,24}") {
            let _ = text.parse::<VideoSize>();
            let _ = text.parse::<FrameRate>();
            let _ = text.parse::<Bitrate>();
        }

        #[test]
        fn what_is_written_reads_back(bits in 50_000_u64..=400_000_000) {
            let rate = Bitrate::new(bits).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Bitrate>().unwrap(), rate);
        }
    }
}
