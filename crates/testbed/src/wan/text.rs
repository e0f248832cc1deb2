//! A direction as one word of a command line, and as words for people.

use std::fmt::Write as _;
use std::time::Duration;

use thiserror::Error;

use super::{Direction, Jitter, Loss, NotPossible, Wan};

/// A direction cannot be read from its text, or cannot be done.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum DirectionError {
    /// A part that is none.
    #[error(
        "{0:?} is no part of a direction: delay=5ms, jitter=uniform:50us, jitter=normal:50us, jitter=pareto:50us, \
         loss=random:1, loss=bursts:1:4, reorder=0.5, rate=50000000, queue=65536"
    )]
    Part(String),
    /// It can be read and not be done.
    #[error(transparent)]
    NotPossible(#[from] NotPossible),
}

/// Writes a direction as one word, which [`read`] reads again without loss.
pub(super) fn write(direction: &Direction) -> String {
    let mut text = format!("delay={}", exact(direction.delay));
    if let Some(jitter) = direction.jitter {
        let (name, by) = match jitter {
            Jitter::Uniform(by) => ("uniform", by),
            Jitter::Normal(by) => ("normal", by),
            Jitter::Pareto(by) => ("pareto", by),
        };
        add(&mut text, format_args!(",jitter={name}:{}", exact(by)));
    }
    match direction.loss {
        None => {}
        Some(Loss::Random { percent }) => add(&mut text, format_args!(",loss=random:{percent}")),
        Some(Loss::Bursts {
            percent,
            mean_length,
        }) => {
            add(
                &mut text,
                format_args!(",loss=bursts:{percent}:{mean_length}"),
            );
        }
    }
    if direction.reorder_percent != 0.0 {
        add(
            &mut text,
            format_args!(",reorder={}", direction.reorder_percent),
        );
    }
    if let Some(rate_bps) = direction.rate_bps {
        add(&mut text, format_args!(",rate={rate_bps}"));
    }
    if direction.queue_bytes != 0 {
        add(&mut text, format_args!(",queue={}", direction.queue_bytes));
    }
    text
}

/// Reads a direction from one word; parts that are not there do nothing.
pub(super) fn read(text: &str) -> Result<Direction, DirectionError> {
    let mut direction = Direction::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        take(&mut direction, part).ok_or_else(|| DirectionError::Part(part.to_owned()))?;
    }
    direction.check()?;
    Ok(direction)
}

fn take(direction: &mut Direction, part: &str) -> Option<()> {
    let (key, value) = part.split_once('=')?;
    match key {
        "delay" => direction.delay = duration(value)?,
        "jitter" => {
            let (name, by) = value.split_once(':')?;
            let make = match name {
                "uniform" => Jitter::Uniform,
                "normal" => Jitter::Normal,
                "pareto" => Jitter::Pareto,
                _ => return None,
            };
            direction.jitter = Some(make(duration(by)?));
        }
        "loss" => {
            direction.loss = Some(match value.split_once(':')? {
                ("random", percent) => Loss::Random {
                    percent: percent.parse().ok()?,
                },
                ("bursts", rest) => {
                    let (percent, mean_length) = rest.split_once(':')?;
                    Loss::Bursts {
                        percent: percent.parse().ok()?,
                        mean_length: mean_length.parse().ok()?,
                    }
                }
                _ => return None,
            });
        }
        "reorder" => direction.reorder_percent = value.parse().ok()?,
        "rate" => direction.rate_bps = Some(value.parse().ok()?),
        "queue" => direction.queue_bytes = value.parse().ok()?,
        _ => return None,
    }
    Some(())
}

/// In the largest unit that shows it exactly.
fn exact(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos.is_multiple_of(1_000_000) {
        format!("{}ms", nanos / 1_000_000)
    } else if nanos.is_multiple_of(1_000) {
        format!("{}us", nanos / 1_000)
    } else {
        format!("{nanos}ns")
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ns" => Some(Duration::from_nanos(number)),
        "us" => Some(Duration::from_micros(number)),
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

/// Milliseconds as people read them: `0.25 ms`.
fn millis(duration: Duration) -> String {
    format!("{} ms", duration.as_secs_f64() * 1e3)
}

impl Wan {
    /// What it does, in words: `local: 0.25 ms, jitter 0.025 ms (normal, standard deviation) each way`.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(preset) = &self.preset {
            add(&mut text, format_args!("{preset}: "));
        }
        if self.a_to_b == self.b_to_a {
            add(
                &mut text,
                format_args!("{} each way", self.a_to_b.describe()),
            );
        } else {
            let (there, back) = (self.a_to_b.describe(), self.b_to_a.describe());
            add(&mut text, format_args!("A to B {there}; B to A {back}"));
        }
        text
    }
}

impl Direction {
    /// What it does, in words: `5 ms, jitter 0.05 ms (normal), loss 1 %`.
    pub fn describe(&self) -> String {
        let mut text = millis(self.delay);
        if let Some(jitter) = self.jitter {
            let (how, by) = match jitter {
                Jitter::Uniform(by) => ("even, either way", by),
                Jitter::Normal(by) => ("normal, standard deviation", by),
                Jitter::Pareto(by) => ("Pareto, scale", by),
            };
            add(&mut text, format_args!(", jitter {} ({how})", millis(by)));
        }
        match self.loss {
            None => {}
            Some(Loss::Random { percent }) => add(&mut text, format_args!(", loss {percent} %")),
            Some(Loss::Bursts {
                percent,
                mean_length,
            }) => {
                add(
                    &mut text,
                    format_args!(
                        ", loss {percent} % in bursts of {mean_length} packets on average"
                    ),
                );
            }
        }
        if self.reorder_percent > 0.0 {
            add(
                &mut text,
                format_args!(", {} % overtake", self.reorder_percent),
            );
        }
        if let Some(rate_bps) = self.rate_bps {
            let (rate, queue) = (rate_bps as f64 / 1e6, self.queue_bytes as f64 / 1e3);
            add(
                &mut text,
                format_args!(", {rate} Mbit/s behind a queue of {queue} kB"),
            );
        }
        text
    }
}

fn add(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more).expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn durations() -> impl Strategy<Value = Duration> {
        (0_u64..10_000_000_000).prop_map(Duration::from_nanos)
    }

    prop_compose! {
        fn directions()(
            delay in durations(),
            jitter in proptest::option::of((0..3, durations())),
            loss in proptest::option::of((0.0..=50.0, proptest::option::of(1.0..100.0))),
            reorder_percent in 0.0..=100.0,
            rate_bps in proptest::option::of(1_u64..),
            queue_bytes in 3_000_u64..,
        ) -> Direction {
            Direction {
                delay,
                jitter: jitter.map(|(kind, by)| match kind {
                    0 => Jitter::Uniform(by),
                    1 => Jitter::Normal(by),
                    _ => Jitter::Pareto(by),
                }),
                loss: loss.map(|(percent, mean_length)| match mean_length {
                    None => Loss::Random { percent },
                    Some(mean_length) => Loss::Bursts { percent, mean_length },
                }),
                reorder_percent,
                rate_bps,
                queue_bytes,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(direction in directions()) {
            prop_assert_eq!(read(&write(&direction)), Ok(direction));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9=:,.]{0,40}") {
            let _ = read(&text);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let no = |text: &str| read(text).expect_err("refused").to_string();
        assert!(no("delay=5").contains("\"delay=5\" is no part"));
        assert!(no("delay=11s").contains("more than 10 s"));
        assert!(no("loss=random:101").contains("loss of 101 %"));
        assert!(no("loss=random:NaN").contains("NaN"));
        assert!(no("loss=bursts:1:0.5").contains("0.5 packets"));
        assert!(no("loss=bursts:90:2").contains("cannot be"));
        assert!(no("rate=0").contains("carries nothing"));
        assert!(no("rate=1000").contains("queue of 0 bytes"));
        assert!(no("reorder=-1").contains("reordering of -1 %"));
    }

    #[test]
    fn both_directions_are_described() {
        let wan = Wan {
            a_to_b: read("delay=5ms,loss=bursts:1:4,rate=50000000,queue=65536").expect("read"),
            b_to_a: read("delay=250us,jitter=pareto:50us,loss=random:1,reorder=2").expect("read"),
            ..Wan::default()
        };
        assert_eq!(
            wan.describe(),
            "A to B 5 ms, loss 1 % in bursts of 4 packets on average, 50 Mbit/s behind a queue of 65.536 kB; \
             B to A 0.25 ms, jitter 0.05 ms (Pareto, scale), loss 1 %, 2 % overtake"
        );
    }
}
