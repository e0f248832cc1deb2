//! Values of a scenario file that carry a unit: sizes, rates, times. Each is written back as it was read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Serde by `FromStr` and `Display`.
macro_rules! by_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use by_text;

/// A picture's size in pixels: `1280x720`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels, even, at least 640.
    pub width: u32,
    /// Pixels, even, at least 360.
    pub height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text
            .split_once('x')
            .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        match sides {
            Some((width, height))
                if width % 2 == 0 && height % 2 == 0 && width >= 640 && height >= 360 =>
            {
                Ok(Self { width, height })
            }
            _ => Err(format!(
                "{text:?} is no picture size; write WIDTHxHEIGHT in even pixels, at least 640x360, such as \"1280x720\""
            )),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
by_text!(Size);

/// A bit rate: `6M`, `800k` or `6000000` bits a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitrate {
    text: String,
    bps: u64,
}

impl Bitrate {
    /// Bits a second.
    pub fn bps(&self) -> u64 {
        self.bps
    }
}

impl FromStr for Bitrate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, factor) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000.0),
            Some(b'M') => (&text[..text.len() - 1], 1_000_000.0),
            _ => (text, 1.0),
        };
        let bps: f64 = digits.parse::<f64>().map_or(0.0, |number| number * factor);
        if !(10_000.0..=1e9).contains(&bps) {
            return Err(format!(
                "{text:?} is no bit rate; write bits a second from 10k to 1000M, such as \"6M\" or \"800k\""
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "10^4 to 10^9 by the check above"
        )]
        Ok(Self {
            text: text.to_owned(),
            bps: bps.round() as u64,
        })
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
by_text!(Bitrate);

/// A span of time: `30s`, `500ms`, `2m`, `1.5s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Its seconds.
    pub const fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [
            ("ms", 1e-3),
            ("us", 1e-6),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
        ];
        let seconds = units.iter().find_map(|(unit, seconds)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            (0.0..=1e6).contains(&number).then_some(number * seconds)
        });
        seconds.map(|seconds| Self(whole_micros(seconds))).ok_or_else(|| {
            format!("{text:?} is no span of time; write a number and its unit, such as \"30s\", \"500ms\" or \"2m\"")
        })
    }
}

/// To whole microseconds, so that what is written can be read again.
fn whole_micros(seconds: f64) -> Duration {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 3.6 x 10^9 s by the check before"
    )]
    Duration::from_micros((seconds * 1e6).round() as u64)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0.as_micros();
        if us.is_multiple_of(1_000_000) {
            write!(f, "{}s", us / 1_000_000)
        } else if us.is_multiple_of(1_000) {
            write!(f, "{}ms", us / 1_000)
        } else {
            write!(f, "{us}us")
        }
    }
}
by_text!(Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_write() {
        for (text, micros) in [
            ("30s", 30_000_000),
            ("500ms", 500_000),
            ("2m", 120_000_000),
            ("1.5s", 1_500_000),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!(span.0.as_micros(), micros, "{text}");
            assert_eq!(span.to_string().parse::<Span>(), Ok(span), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1 fortnight", "infs", "NaNs", "1e99h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_rates_say_what_would_be_right() {
        assert_eq!(
            "640x360".parse(),
            Ok(Size {
                width: 640,
                height: 360
            })
        );
        for text in ["320x240", "1281x720", "1280", "1280x", "x720", "axb"] {
            let error = text.parse::<Size>().expect_err(text);
            assert!(error.contains("at least 640x360"), "{error}");
        }
        assert_eq!(
            "6M".parse::<Bitrate>().map(|rate| rate.bps()),
            Ok(6_000_000)
        );
        assert_eq!(
            "2.5M".parse::<Bitrate>().map(|rate| rate.bps()),
            Ok(2_500_000)
        );
        assert_eq!(
            "800k".parse::<Bitrate>().map(|rate| rate.bps()),
            Ok(800_000)
        );
        for text in ["", "M", "0", "-1M", "6 Mbit", "9999M"] {
            assert!(text.parse::<Bitrate>().is_err(), "{text}");
        }
    }
}
