//! Frames a second, exactly.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::UnitError;

/// Frames a second, as a fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameRate {
    numerator: u32,
    denominator: u32,
}

impl FrameRate {
    /// 60 frames a second.
    pub const SIXTY: Self = Self {
        numerator: 60,
        denominator: 1,
    };

    /// `numerator`/`denominator` frames a second; between 1 and 480.
    pub fn new(numerator: u32, denominator: u32) -> Result<Self, UnitError> {
        if denominator == 0 {
            return Err(UnitError(format!(
                "{numerator}/0 is no frame rate; write 1 to 480 frames a second, as 60, or a fraction, as 30000/1001"
            )));
        }
        let at_least_one = numerator >= denominator;
        if !at_least_one || u64::from(numerator) > 480 * u64::from(denominator) {
            return Err(UnitError(format!(
                "{} frames a second is outside 1 to 480; take a rate in that range",
                Written(numerator, denominator)
            )));
        }
        let common = greatest_common_divisor(numerator, denominator);
        Ok(Self {
            numerator: numerator / common,
            denominator: denominator / common,
        })
    }

    /// The rate of television that a decimal number is short for: 23.976 is 24000/1001.
    fn of_television(rounded: f64) -> Option<Self> {
        let rates = [24_000, 30_000, 48_000, 60_000, 120_000, 240_000];
        let mut rates = rates
            .into_iter()
            .filter_map(|numerator| Self::new(numerator, 1_001).ok());
        // Two decimals are the least that anybody writes: 29.97.
        rates.find(|rate| (rate.as_f64() - rounded).abs() < 0.01)
    }

    /// Frames in [`Self::denominator`] seconds.
    pub const fn numerator(self) -> u32 {
        self.numerator
    }

    /// Seconds that [`Self::numerator`] frames take.
    pub const fn denominator(self) -> u32 {
        self.denominator
    }

    /// The rate in frames a second, rounded to a float.
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

const fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A fraction as people write it.
struct Written(u32, u32);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 == 1 {
            return self.0.fmt(f);
        }
        write!(f, "{}/{}", self.0, self.1)
    }
}

impl FromStr for FrameRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
        let (Ok(numerator), Ok(denominator)) = (numerator.parse(), denominator.parse()) else {
            let meant = text.parse().ok().and_then(Self::of_television);
            let fraction = meant.map_or_else(|| "30000/1001".to_owned(), |rate| rate.to_string());
            return Err(UnitError(format!(
                "'{text}' is no frame rate; write 1 to 480 frames a second, as 60, or a fraction, as {fraction}"
            )));
        };
        Self::new(numerator, denominator)
    }
}

impl fmt::Display for FrameRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written(self.numerator, self.denominator).fmt(f)
    }
}

impl Serialize for FrameRate {
    /// A whole rate is a number, a fraction a text.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.denominator == 1 {
            return to.serialize_u32(self.numerator);
        }
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FrameRate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = FrameRate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "1 to 480 frames a second: a whole number, or a fraction such as \"30000/1001\"",
                )
            }

            fn visit_i64<E: de::Error>(self, rate: i64) -> Result<FrameRate, E> {
                u64::try_from(rate)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(rate), &self))
                    .and_then(|rate| self.visit_u64(rate))
            }

            fn visit_u64<E: de::Error>(self, rate: u64) -> Result<FrameRate, E> {
                let whole = u32::try_from(rate)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(rate), &self))?;
                FrameRate::new(whole, 1).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<FrameRate, E> {
                text.parse().map_err(E::custom)
            }
        }

        from.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_wrong_is_refused() {
        assert_eq!("60".parse(), Ok(FrameRate::SIXTY));
        assert_eq!("120/2".parse(), Ok(FrameRate::SIXTY));
        assert_eq!("30000/1001".parse(), FrameRate::new(30_000, 1_001));
        for bad in ["0", "0/0", "1/0", "481", "-3", "sixty", "1/2", ""] {
            let error = bad.parse::<FrameRate>().unwrap_err().to_string();
            assert!(error.contains("1 to 480"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_decimal_number_is_told_as_the_fraction_that_is_meant() {
        for (text, meant) in [
            ("23.976", "24000/1001"),
            ("23.98", "24000/1001"),
            ("29.97", "30000/1001"),
            ("59.94", "60000/1001"),
            ("119.88", "120000/1001"),
        ] {
            let error = text.parse::<FrameRate>().unwrap_err().to_string();
            assert!(error.ends_with(meant), "{text}: {error}");
        }
        let error = "0".parse::<FrameRate>().unwrap_err().to_string();
        assert!(error.starts_with("0 frames a second is outside"), "{error}");
    }

    #[test]
    fn files_have_numbers_and_fractions() {
        let read = |text: &str| serde_json::from_str::<FrameRate>(text);
        assert_eq!(read("60").unwrap(), FrameRate::SIXTY);
        for ntsc in ["\"24000/1001\"", "\"30000/1001\"", "\"60000/1001\""] {
            let rate = read(ntsc).unwrap();
            assert_eq!(serde_json::to_string(&rate).unwrap(), ntsc);
        }
        for bad in ["-1", "0", "481", "29.97", "99999999999", "true", "\"30p\""] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("1 to 480"), "{bad}: {error}");
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
        fn reading_is_total_and_what_is_written_reads_back(text in ".{0,24}", numerator in 1_u32..60_000, denominator in 1_u32..1002) {
            let _ = text.parse::<FrameRate>();
            if let Ok(rate) = FrameRate::new(numerator, denominator) {
                prop_assert_eq!(rate.to_string().parse(), Ok(rate));
                prop_assert_eq!(serde_json::from_value::<FrameRate>(serde_json::to_value(rate).unwrap()).unwrap(), rate);
            }
        }
    }
}
