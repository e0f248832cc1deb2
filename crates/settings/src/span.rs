//! A span of time as people write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::UnitError;

/// A span of time: `30s`, `500ms`, `2m`, `1.5s`, `1h30m`; never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// The longest span, a little above a century: no sum of a few of them overflows a clock.
const MAX: Duration = Duration::from_hours(1_000_000);

impl Span {
    /// A span of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A span of whole milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// The length in seconds.
    pub const fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Reads a duration that is longer than nothing, for clap's `value_parser`.
    pub fn positive(text: &str) -> Result<Duration, UnitError> {
        match text.parse()? {
            Self(Duration::ZERO) => Err(UnitError(
                "nothing happens in no time; write more, as 30s, or leave it out".to_owned(),
            )),
            Self(duration) => Ok(duration),
        }
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let read = text.parse::<jiff::SignedDuration>().ok();
        let span = read.and_then(|span| Duration::try_from(span).ok());
        span.filter(|span| *span <= MAX).map(Self).ok_or_else(|| {
            UnitError(format!(
                "{text:?} is no span of time; write a number and its unit, such as \"30s\", \"500ms\", \"1.5s\" or \"2m\""
            ))
        })
    }
}

impl fmt::Display for Span {
    /// In the largest unit in which it is whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
        let whole = units
            .into_iter()
            .find(|(size, _)| nanos.is_multiple_of(*size));
        let (size, unit) = whole.unwrap_or((1, "ns"));
        write!(f, "{}{unit}", nanos / size)
    }
}

by_text!(
    Span,
    "a span of time in quotes with its unit, such as \"30s\" or \"500ms\""
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, micros) in [
            ("30s", 30_000_000),
            ("500ms", 500_000),
            ("2m", 120_000_000),
            ("1.5m", 90_000_000),
            ("1.5s", 1_500_000),
            ("2h", 7_200_000_000),
            ("1h30m", 5_400_000_000),
            ("250us", 250),
            ("0s", 0),
            ("0ms", 0),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.0.as_micros(), micros, "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1s ago",
            "1 fortnight",
            "infs",
            "NaNs",
            "1e99h",
            "9999999999h",
        ] {
            let error = text.parse::<Span>().expect_err(text).to_string();
            assert!(error.contains("\"30s\""), "{error}");
        }
        assert_eq!(Span::positive("1s"), Ok(Duration::from_secs(1)));
        assert!(Span::positive("0s").is_err());
    }

    proptest! {
        #[test]
        fn reading_is_total_and_what_is_written_reads_back(text in ".{0,24}", nanos in 0..=MAX.as_nanos()) {
            let _ = text.parse::<Span>();
            let span = Span(Duration::from_nanos(u64::try_from(nanos).unwrap()));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
