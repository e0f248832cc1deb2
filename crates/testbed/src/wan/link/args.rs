//! What the userspace link is told, as one argument: whoever starts it writes it, and it reads it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::wan::{Direction, NotPossible};

/// The hidden subcommand of xrbench that is the link.
pub const SUBCOMMAND: &str = "wan-link";

/// What [`super::serve`] is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkArgs {
    /// The name of the TUN interface that it makes in each of the two namespaces, for example `wan0`.
    pub interface: String,
    /// The network namespace of cluster A's end, as a path such as `/proc/4242/ns/net` or `/proc/self/fd/7`.
    pub a: PathBuf,
    /// The network namespace of cluster B's end.
    pub b: PathBuf,
    /// The largest packet in bytes, IP header included.
    pub mtu: u16,
    /// What happens from A to B.
    pub a_to_b: Direction,
    /// What happens from B to A.
    pub b_to_a: Direction,
    /// Where its randomness starts: the same seed loses the same packets of the same traffic.
    pub seed: u64,
}

/// The argument is none of a link.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// The argument is not the JSON of a link.
    #[error("it is not the JSON of a link: {0}")]
    Json(#[from] serde_json::Error),
    /// A packet size that IPv4 does not work with.
    #[error("an MTU of {0} bytes is below IPv4's least, {MTU_MIN}")]
    Mtu(u16),
    /// The kernel takes no interface of that name.
    #[error("interface {0:?}: the kernel takes 1 to 15 bytes without '/', ':' and blanks")]
    Interface(String),
    /// A direction that cannot be done.
    #[error("{field}: {source}")]
    Direction {
        field: &'static str,
        /// What is wrong with it.
        source: NotPossible,
    },
}

/// The smallest MTU that IPv4 works with.
const MTU_MIN: u16 = 68;

impl LinkArgs {
    /// The argument after [`SUBCOMMAND`], in the form that [`LinkArgs::parse`] reads: one line of JSON.
    ///
    /// # Panics
    /// Where a path is not UTF-8; those of `/proc` are.
    pub fn to_arg(&self) -> String {
        serde_json::to_string(self).expect("numbers, names and paths of /proc")
    }

    /// Reads the argument after [`SUBCOMMAND`].
    pub fn parse(arg: &str) -> Result<Self, ArgsError> {
        let args: Self = serde_json::from_str(arg)?;
        if args.mtu < MTU_MIN {
            return Err(ArgsError::Mtu(args.mtu));
        }
        if !is_name(&args.interface) {
            return Err(ArgsError::Interface(args.interface));
        }
        for (field, direction) in [("a_to_b", args.a_to_b), ("b_to_a", args.b_to_a)] {
            direction
                .check()
                .map_err(|source| ArgsError::Direction { field, source })?;
        }
        Ok(args)
    }
}

fn is_name(value: &str) -> bool {
    (1..=15).contains(&value.len())
        && !matches!(value, "." | "..")
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::wan::{Jitter, Loss};

    fn durations() -> impl Strategy<Value = Duration> {
        (0_u64..10_000_000_000).prop_map(Duration::from_nanos)
    }

    /// As people write them: JSON's reader may miss the last of seventeen digits.
    fn decimals(least: u32, most: u32) -> impl Strategy<Value = f64> {
        (least * 1_000..=most * 1_000).prop_map(|thousandths| f64::from(thousandths) / 1e3)
    }

    prop_compose! {
        fn directions()(
            delay in durations(),
            jitter in proptest::option::of((0..3, durations())),
            loss in proptest::option::of((decimals(0, 50), proptest::option::of(decimals(1, 100)))),
            reorder_percent in decimals(0, 100),
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

    fn args() -> LinkArgs {
        LinkArgs {
            interface: "wan0".into(),
            a: "{netns:node-a}".into(),
            b: "/proc/self/fd/7".into(),
            mtu: 1420,
            a_to_b: Direction {
                delay: Duration::from_millis(5),
                jitter: Some(Jitter::Normal(Duration::from_micros(50))),
                loss: Some(Loss::Bursts {
                    percent: 0.1,
                    mean_length: 3.5,
                }),
                reorder_percent: 0.25,
                rate_bps: Some(50_000_000),
                queue_bytes: 65_536,
            },
            b_to_a: Direction::default(),
            seed: u64::MAX,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a_to_b in directions(), b_to_a in directions(), seed: u64) {
            let args = LinkArgs { a_to_b, b_to_a, seed, ..args() };
            prop_assert_eq!(LinkArgs::parse(&args.to_arg()).expect("its own"), args);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = LinkArgs::parse(&text);
        }
    }

    #[test]
    fn a_wrong_argument_is_named() {
        let wrong = |from: &str, to: &str| {
            let arg = args().to_arg();
            assert!(arg.contains(from), "{from} is not in {arg}");
            LinkArgs::parse(&arg.replace(from, to))
                .expect_err("wrong")
                .to_string()
        };
        assert!(wrong("1420", "67").contains("67 bytes"));
        assert!(wrong("1420", "66000").contains("66000"));
        assert!(wrong("wan0", "a/b").contains("15 bytes"));
        assert!(wrong("\"delay_ns\":0", "\"delay_ns\":11000000000").contains("b_to_a: a delay"));
        assert!(wrong("\"seed\"", "\"sed\"").contains("sed"));
    }
}
