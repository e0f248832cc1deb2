//! When a line counts as read, and when what it says is believed. Everything else is *unread*: counted, and never a sample.
//!
//! **Our stamps** carry check digits ([`stamp::line`]), so a line is read when they hold. Beyond that a frame must have
//! taken from 0 to 60 s.
//!
//! **ffmpeg's clock** has none, so a wrong digit would pass for another time. A reading of it is believed when all of
//! this holds, and is implausible, thus unread, otherwise:
//! 1. the line was read at two widths, and both readings say the same, or else one of them and that at a third width;
//! 2. it has exactly 16 digits, ten of seconds and six of microseconds, and nothing but points between the two;
//! 3. both times lie within the run, from its first process to a minute after measuring ended;
//! 4. consumption is not before generation, nor 60 s or more after it;
//! 5. generation times do not go back from picture to picture: of those that do, as few as possible are thrown out
//!    ([`in_order`]).

use std::ffi::CStr;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{engine::Engine, pgm::Image, shrink::narrow};

/// No frame takes that long, in microseconds.
pub const MAX_LATENCY_US: u64 = 60_000_000;

/// How much earlier or later than the run a reading of ffmpeg's clock may be, in microseconds.
const WINDOW_MARGIN_US: u64 = 1_000_000;

/// What is known of the times that lines show, beside the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The time of the run in microseconds since the Unix epoch; none where nothing is excluded.
    pub window: Option<(u64, u64)>,
    /// How far the clocks of generation and consumption are ahead of the one in which times are told, in microseconds: taken off
    /// what ffmpeg's clock shows, because nobody has corrected that before.
    pub ahead_us: [i64; 2],
}

/// What the engine made of one line: a text, or those of several widths that do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading(Vec<String>);

impl Reading {
    /// Stands between texts that do not agree, where a reading is written; no line has such a character.
    const BETWEEN: &str = "|";

    /// From the form of [`fmt::Display`].
    pub fn from_written(text: &str) -> Self {
        Self(text.split(Self::BETWEEN).map(ToOwned::to_owned).collect())
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(Self::BETWEEN))
    }
}

/// What the lines of an image are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Our stamps: frame number, microseconds, check digits.
    #[default]
    Stamp,
    /// The clock that ffmpeg draws: seconds with six decimals.
    Clock,
}

/// The widths at which a line is shown to the engine, in percent of its own, in the order of trying.
///
/// Measured over lines of real 720p pictures: at 65 % 99 in 100 were read at 6 Mbit/s and 96 at 2 Mbit/s, in under half of
/// the time that the whole width takes; from 75 % on all were read.
const STAMP_WIDTHS: [usize; 3] = [65, 75, 90];

/// The widths at which ffmpeg's clock is read; two must say the same, and the third is asked only if the others differ.
const CLOCK_WIDTHS: [usize; 3] = [70, 60, 85];

impl Kind {
    /// The word on command lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stamp => "stamp",
            Self::Clock => "clock",
        }
    }

    /// The characters that there can be.
    pub(super) const fn characters(self) -> &'static CStr {
        match self {
            Self::Stamp => c"0123456789",
            Self::Clock => c"0123456789.",
        }
    }

    /// The text of one line: a good one, or what the engine made of it.
    pub(super) fn read(self, engine: &mut Engine, line: &Image) -> Reading {
        let mut last = String::new();
        match self {
            Self::Stamp => {
                for percent in STAMP_WIDTHS {
                    let text = engine.read(&narrow(line, percent));
                    if stamp::line::parse(&text).is_ok() {
                        return Reading(vec![text]);
                    }
                    if last.is_empty() {
                        last = text;
                    }
                }
                Reading(vec![last])
            }
            Self::Clock => {
                let mut texts: Vec<String> = Vec::new();
                for percent in CLOCK_WIDTHS {
                    let text = engine.read(&narrow(line, percent));
                    let time = clock_us(&text);
                    if time.is_some() && texts.iter().any(|other| clock_us(other) == time) {
                        return Reading(vec![text]);
                    }
                    texts.push(text);
                }
                Reading(texts)
            }
        }
    }

    /// What one line says.
    fn parse(self, reading: &Reading) -> Result<(Option<u32>, u64), &'static str> {
        let [text] = reading.0.as_slice() else {
            return Err("readings differ");
        };
        match self {
            Self::Stamp => stamp::line::parse(text)
                .map(|stamp| (Some(stamp.frame), stamp.time_us))
                .map_err(|_| "check"),
            Self::Clock => clock_us(text).map(|time| (None, time)).ok_or("digits"),
        }
    }

    /// What the two lines of an image say, in themselves plausible.
    pub fn judge(self, generation: &Reading, consumption: &Reading, known: Known) -> Status {
        let parsed = self
            .parse(generation)
            .and_then(|from| Ok((from, self.parse(consumption)?)));
        let ((frame, mut generated_us), (_, mut consumed_us)) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => return Status::Unread(why),
        };
        if self == Self::Clock {
            let [generation, consumption] = known.ahead_us;
            generated_us = generated_us.saturating_sub_signed(generation);
            consumed_us = consumed_us.saturating_sub_signed(consumption);
        }
        if let (Self::Clock, Some((from, to))) = (self, known.window) {
            let within =
                from.saturating_sub(WINDOW_MARGIN_US)..=to.saturating_add(WINDOW_MARGIN_US);
            if !within.contains(&generated_us) || !within.contains(&consumed_us) {
                return Status::Unread("outside the run");
            }
        }
        match consumed_us.checked_sub(generated_us) {
            Some(latency) if latency < MAX_LATENCY_US => Status::Read(Times {
                frame,
                generated_us,
                consumed_us,
            }),
            _ => Status::Unread("latency"),
        }
    }
}

/// What became of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Both lines were read and are believed.
    Read(Times),
    /// One was not, and why, in a word.
    Unread(&'static str),
}

/// What an image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The frame number; ffmpeg's clock has none.
    pub frame: Option<u32>,
    /// Generation, microseconds since the Unix epoch.
    pub generated_us: u64,
    /// Consumption, microseconds since the Unix epoch.
    pub consumed_us: u64,
}

/// The time that ffmpeg's clock shows, in microseconds since the Unix epoch.
fn clock_us(text: &str) -> Option<u64> {
    let (seconds, rest) = text.split_at_checked(10)?;
    // The engine sees the point twice now and then.
    let micros = rest.trim_start_matches('.');
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(seconds, 10) || !digits(micros, 6) {
        return None;
    }
    seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(micros.parse().ok()?)
}

/// Marks the longest part of `times` that never goes back, so that the fewest are left out.
pub fn in_order(times: &[u64]) -> Vec<bool> {
    // Patience sorting: `ends[n]` is the index of the smallest time that ends an ordered part of n + 1 times.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; times.len()];
    for (index, time) in times.iter().enumerate() {
        let place = ends.partition_point(|end| times[*end] <= *time);
        before[index] = place.checked_sub(1).map(|place| ends[place]);
        match ends.get_mut(place) {
            Some(end) => *end = index,
            None => ends.push(index),
        }
    }
    let mut kept = vec![false; times.len()];
    let mut at = ends.last().copied();
    while let Some(index) = at {
        kept[index] = true;
        at = before[index];
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stamp::{Stamp, line};

    use super::*;

    const NOW: u64 = 1_795_317_128_117_757;

    fn judge(kind: Kind, generation: &str, consumption: &str, known: Known) -> Status {
        let [generation, consumption] = [generation, consumption].map(Reading::from_written);
        kind.judge(&generation, &consumption, known)
    }

    fn within(from: u64, to: u64) -> Known {
        Known {
            window: Some((from, to)),
            ..Known::default()
        }
    }

    /// The player's clock is five seconds ahead: without that, no reading would be believed, or each be five seconds too late.
    #[test]
    fn clocks_that_are_ahead_are_put_right() {
        let known = Known {
            ahead_us: [-250, 5_000_000],
            ..within(NOW, NOW + 2_000_000)
        };
        let read = judge(Kind::Clock, "1795317128.117757", "1795317134.117757", known);
        let wanted = Times {
            frame: None,
            generated_us: NOW + 250,
            consumed_us: NOW + 1_000_000,
        };
        assert_eq!(read, Status::Read(wanted));
    }

    #[test]
    fn a_clock_has_ten_digits_and_six() {
        assert_eq!(clock_us("1795317128.117757"), Some(NOW));
        assert_eq!(clock_us("1795317128117757"), Some(NOW));
        assert_eq!(clock_us("1795317128..117757"), Some(NOW));
        for wrong in [
            "",
            "1795317128",
            "179531712.8117757",
            "1795317128.17757",
            "1795317128.1177570",
            "17953171281.17757",
            "1795317128..11775",
            "1795317128.117.757",
            "1795317128.1a7757",
        ] {
            assert_eq!(clock_us(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_clock_is_believed_within_its_run_only() {
        let judge =
            |from: &str, to: &str| judge(Kind::Clock, from, to, within(NOW, NOW + 5_000_000));
        let read = judge("1795317128.117757", "1795317129.117757");
        assert!(
            matches!(read, Status::Read(times) if times.consumed_us - times.generated_us == 1_000_000)
        );
        assert_eq!(
            judge("1795317128.117757", "1795317138.117757"),
            Status::Unread("outside the run")
        );
        assert_eq!(
            judge("1795317129.117757", "1795317128.117757"),
            Status::Unread("latency")
        );
        assert_eq!(
            judge("1795317129.117757|1795317129.117751", "1795317129.117757"),
            Status::Unread("readings differ")
        );
        assert_eq!(
            judge("1795317128", "1795317128.117757"),
            Status::Unread("digits")
        );
    }

    #[test]
    fn a_stamp_is_believed_when_its_check_holds() {
        let text = |frame, time_us| line::format(Stamp { frame, time_us });
        let judge = |from: &str, to: &str| judge(Kind::Stamp, from, to, Known::default());
        let (from, to) = (text(7, NOW), text(7, NOW + 8_000));
        assert_eq!(
            judge(&from, &to),
            Status::Read(Times {
                frame: Some(7),
                generated_us: NOW,
                consumed_us: NOW + 8_000
            })
        );
        assert_eq!(
            judge(&from, &to.replacen('1', "7", 1)),
            Status::Unread("check")
        );
        assert_eq!(judge(&to, &from), Status::Unread("latency"));
        assert_eq!(
            judge(&from, &text(7, NOW + MAX_LATENCY_US)),
            Status::Unread("latency")
        );
    }

    #[test]
    fn one_wrong_time_costs_one_picture() {
        assert_eq!(
            in_order(&[1, 2, 90, 3, 3, 4]),
            [true, true, false, true, true, true]
        );
        assert_eq!(in_order(&[50, 60, 1, 70]), [true, true, false, true]);
        assert_eq!(in_order(&[]), Vec::<bool>::new());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_in_order_and_the_most_there_is(times in prop::collection::vec(0..20_u64, 0..12)) {
            let kept = in_order(&times);
            let chosen: Vec<_> = times.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(time, _)| *time).collect();
            prop_assert!(chosen.is_sorted());
            let most = (0..1_u32 << times.len())
                .filter_map(|set| {
                    let part: Vec<_> = (0..times.len()).filter(|i| set >> i & 1 == 1).map(|i| times[i]).collect();
                    part.is_sorted().then_some(part.len())
                })
                .max();
            prop_assert_eq!(Some(chosen.len()), most);
        }

        #[test]
        fn any_text_is_judged(generation: String, consumption in "[0-9. |]{0,30}") {
            for kind in [Kind::Stamp, Kind::Clock] {
                judge(kind, &generation, &consumption, Known::default());
                let extreme = Known {
                    ahead_us: [i64::MIN, i64::MAX],
                    ..within(0, u64::MAX)
                };
                judge(kind, &consumption, &generation, extreme);
            }
            let read = Reading::from_written(&generation);
            prop_assert_eq!(read.to_string(), generation);
        }
    }
}
