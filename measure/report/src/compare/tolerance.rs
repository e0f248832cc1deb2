//! How much worse is still good enough: `5%` or `0.5ms`.

use std::{fmt, str::FromStr};

use settings::Span;

/// The largest rise of a p50 that is no regression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// A share of the older result's p50, in percent.
    Percent(f64),
    /// A time.
    Time(Span),
}

impl Tolerance {
    /// The tolerance in microseconds, of a p50 of `p50_us`.
    pub fn us(self, p50_us: f64) -> f64 {
        match self {
            Self::Percent(percent) => p50_us.abs() * percent / 100.0,
            Self::Time(time) => time.as_secs_f64() * 1e6,
        }
    }
}

impl FromStr for Tolerance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = match text.strip_suffix('%') {
            Some(percent) => {
                let percent: Option<f64> = percent.trim().parse().ok();
                let sound = percent.filter(|percent| (0.0..=1e9).contains(percent));
                sound.map(Self::Percent)
            }
            None => text.parse().ok().map(Self::Time),
        };
        read.ok_or_else(|| {
            format!(
                "{text:?} is no tolerance; write a share of the first result's p50, \"5%\", or a time, \"0.5ms\" or \"300us\""
            )
        })
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_share_or_a_time() {
        for (text, us) in [
            ("5%", 400.0),
            ("0.5ms", 500.0),
            ("300us", 300.0),
            ("2s", 2e6),
            ("0%", 0.0),
        ] {
            let tolerance: Tolerance = text.parse().expect("a tolerance");
            assert!((tolerance.us(8_000.0) - us).abs() < 1e-9, "{text}");
            let again: Tolerance = tolerance.to_string().parse().expect("as it was written");
            assert!(
                (again.us(8_000.0) - us).abs() < 1e-9,
                "{text} as {tolerance}"
            );
        }
        for text in [
            "5", "", "%", "-1%", "fivems", "NaN%", "inf%", "-1ms", "1e3s",
        ] {
            let error = text.parse::<Tolerance>().expect_err(text);
            assert!(error.contains("0.5ms"), "{error}");
        }
    }
}
