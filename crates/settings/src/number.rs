//! Numbers within a range, as flags, variables and keys have them: whoever gives another one is told the range.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

use crate::UnitError;

/// The types of whole numbers that settings have.
pub trait Whole: Copy + PartialOrd + Display + FromStr + TryFrom<u64> {}

impl Whole for u8 {}
impl Whole for u16 {}
impl Whole for u32 {}
impl Whole for u64 {}
impl Whole for usize {}

/// Reads a whole number of a range from a word, for clap's `value_parser`.
pub fn whole<T: Whole + Send + Sync + 'static>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, UnitError> + Clone + Send + Sync + 'static {
    move |text: &str| {
        let number = text
            .parse::<T>()
            .ok()
            .filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            UnitError(format!("it must be a whole number, {low} to {high}"))
        })
    }
}

/// Reads a whole number of a range from a file, for serde's `deserialize_with`.
pub fn whole_key<'de, D: Deserializer<'de>, T: Whole>(
    from: D,
    range: RangeInclusive<T>,
) -> Result<T, D::Error> {
    from.deserialize_u64(Wholes(range))
}

/// Reads a number of a range from a file, whole or not, for serde's `deserialize_with`.
pub fn number_key<'de, D: Deserializer<'de>>(
    from: D,
    range: RangeInclusive<f64>,
) -> Result<f64, D::Error> {
    from.deserialize_f64(Numbers(range))
}

struct Wholes<T>(RangeInclusive<T>);

impl<T: Whole> Visitor<'_> for Wholes<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.0.start(), self.0.end());
        write!(f, "a whole number without quotes, {low} to {high}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        let of_type = T::try_from(number).ok();
        let within = of_type.filter(|number| self.0.contains(number));
        within.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}

struct Numbers(RangeInclusive<f64>);

impl Visitor<'_> for Numbers {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.0.start(), self.0.end());
        if high.is_finite() {
            write!(f, "a number without quotes, {low} to {high}")
        } else {
            write!(f, "a number without quotes, {low} or more")
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
        if self.0.contains(&number) {
            Ok(number)
        } else {
            Err(E::invalid_value(Unexpected::Float(number), &self))
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
        self.visit_f64(number as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_word_that_is_no_number_is_told_the_range_too() {
        let read = whole::<u32>(2..=100);
        assert_eq!((read("2"), read("100")), (Ok(2), Ok(100)));
        for wrong in ["", "abc", "1", "101", "-3", "1.5", "4294967297", "3 "] {
            let why = read(wrong).expect_err(wrong).to_string();
            assert_eq!(why, "it must be a whole number, 2 to 100", "{wrong}");
        }
        let all = whole::<u8>(0..=u8::MAX)("256").expect_err("too large");
        assert_eq!(all.to_string(), "it must be a whole number, 0 to 255");
    }

    #[derive(Debug, Deserialize)]
    struct File {
        #[serde(deserialize_with = "runs")]
        runs: u32,
        #[serde(deserialize_with = "percent")]
        percent: f64,
    }

    fn runs<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        whole_key(from, 1..=1000)
    }

    fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        number_key(from, 0.0..=100.0)
    }

    #[test]
    fn a_key_that_is_no_number_is_told_the_range_too() {
        let read = |runs: &str, percent: &str| {
            toml::from_str::<File>(&format!("runs = {runs}\npercent = {percent}"))
        };
        let file = read("1000", "100").expect("within");
        assert_eq!((file.runs, file.percent), (1000, 100.0));
        for wrong in ["0", "1001", "-1", "1.5", "\"3\"", "true"] {
            let why = read(wrong, "0").expect_err(wrong).to_string();
            let range = "a whole number without quotes, 1 to 1000";
            assert!(why.contains(range), "{why}");
        }
        for wrong in ["-0.1", "101", "nan", "\"3\""] {
            let why = read("1", wrong).expect_err(wrong).to_string();
            let range = "a number without quotes, 0 to 100";
            assert!(why.contains(range), "{why}");
        }
        let unbounded = Numbers(0.0..=f64::INFINITY);
        let said = Error::invalid_value(Unexpected::Float(-1.0), &unbounded);
        let said: serde::de::value::Error = said;
        assert!(said.to_string().contains("0 or more"), "{said}");
    }

    proptest! {
        #[test]
        fn reading_is_total(text in ".{0,24}", number: u64) {
            let _ = whole::<u16>(1..=9)(&text);
            prop_assert_eq!(whole::<u64>(0..=u64::MAX)(&number.to_string()), Ok(number));
        }
    }
}
