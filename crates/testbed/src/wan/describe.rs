//! A WAN in words, for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::model::{Direction, Jitter, Loss, Wan};

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
    use super::*;

    #[test]
    fn both_directions_are_described() {
        let wan = Wan {
            a_to_b: Direction {
                delay: Duration::from_millis(5),
                loss: Some(Loss::Bursts {
                    percent: 1.0,
                    mean_length: 4.0,
                }),
                rate_bps: Some(50_000_000),
                queue_bytes: 65_536,
                ..Direction::default()
            },
            b_to_a: Direction {
                delay: Duration::from_micros(250),
                jitter: Some(Jitter::Pareto(Duration::from_micros(50))),
                loss: Some(Loss::Random { percent: 1.0 }),
                reorder_percent: 2.0,
                ..Direction::default()
            },
            ..Wan::default()
        };
        assert_eq!(
            wan.describe(),
            "A to B 5 ms, loss 1 % in bursts of 4 packets on average, 50 Mbit/s behind a queue of 65.536 kB; \
             B to A 0.25 ms, jitter 0.05 ms (Pareto, scale), loss 1 %, 2 % overtake"
        );
    }
}
