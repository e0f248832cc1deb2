//! Bits a second: of an encoder, and of a link.

use std::fmt;
use std::str::FromStr;

use crate::UnitError;

/// Bits a second, as `6M`, `800k` or `6000000`; from 1 bit to 100 Gbit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitsPerSecond(u64);

/// The largest [`BitsPerSecond`].
const MAX: u64 = 100_000_000_000;

impl BitsPerSecond {
    /// The rate in bits a second.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for BitsPerSecond {
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
                "'{text}' is no bit rate; write bits a second with k or M, as \"800k\" or \"6M\""
            )));
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates; digits only"
        )]
        let bits = (number * scale).round() as u64;
        if !(1..=MAX).contains(&bits) {
            return Err(UnitError(format!(
                "'{text}' is outside of 1 to 100000M bits a second"
            )));
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for BitsPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits.is_multiple_of(1_000_000) => write!(f, "{}M", bits / 1_000_000),
            bits if bits.is_multiple_of(1_000) => write!(f, "{}k", bits / 1_000),
            bits => bits.fmt(f),
        }
    }
}

by_text!(
    BitsPerSecond,
    "bits a second in quotes, such as \"800k\" or \"1M\""
);

/// An encoder's target in bits a second, between 50 kbit/s and 400 Mbit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitrate(u32);

impl Bitrate {
    /// What 1280x720 at 60 frames a second takes.
    pub const SIX_MEGABITS: Self = Self(6_000_000);

    /// What 640x360 at 60 frames a second takes.
    pub const TWO_MEGABITS: Self = Self(2_000_000);

    /// `bits_per_second`; between 50 kbit/s and 400 Mbit/s.
    pub fn new(bits_per_second: u64) -> Result<Self, UnitError> {
        match u32::try_from(bits_per_second) {
            Ok(bits @ 50_000..=400_000_000) => Ok(Self(bits)),
            _ => Err(UnitError(format!(
                "{bits_per_second} bit/s is outside 50k to 400M; a picture of 1280x720 at 60 frames a second takes about 6M"
            ))),
        }
    }

    /// The rate in bits a second.
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
        Self::new(text.parse::<BitsPerSecond>()?.get())
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BitsPerSecond(self.0.into()).fmt(f)
    }
}

by_text!(
    Bitrate,
    "bits a second in quotes, such as \"800k\" or \"6M\""
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, bits) in [
            ("6M", 6_000_000),
            ("800k", 800_000),
            ("1.5M", 1_500_000),
            ("250000", 250_000),
        ] {
            let rate = text.parse::<Bitrate>().unwrap();
            assert_eq!(rate.bits_per_second(), bits, "{text}");
        }
        for bad in [
            "", "M", "6G", "10", "-6M", "1e6", "1e9", "NaN", "inf", "6 M", "500M", "20k", "1.2.3M",
        ] {
            assert!(bad.parse::<Bitrate>().is_err(), "{bad}");
        }
        // A link may carry more than any video.
        assert_eq!("1000M".parse(), Ok(BitsPerSecond(1_000_000_000)));
        assert!("0".parse::<BitsPerSecond>().is_err());
    }

    proptest! {
        #[test]
        fn reading_is_total_and_what_is_written_reads_back(text in ".{0,24}", bits in 50_000_u64..=400_000_000) {
            let _ = text.parse::<Bitrate>();
            let rate = Bitrate::new(bits).unwrap();
            prop_assert_eq!(rate.to_string().parse::<Bitrate>().unwrap(), rate);
        }
    }
}
