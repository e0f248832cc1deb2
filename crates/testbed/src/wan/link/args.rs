//! The command line of the userspace link, both ways: whoever starts it writes it, and it reads it.

use std::path::PathBuf;

use thiserror::Error;

use super::super::text::{self, DirectionError};
use crate::wan::Direction;

/// The hidden subcommand of xrbench that is the link.
pub const SUBCOMMAND: &str = "wan-link";

/// What [`super::serve`] is told.
#[derive(Clone, Debug, PartialEq)]
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

/// The command line is not one.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// A flag that there is not.
    #[error(
        "unknown argument {0:?}: there are --interface, --a, --b, --mtu, --seed, --a-to-b, --b-to-a"
    )]
    Unknown(String),
    /// A flag without its value.
    #[error("{0} needs a value")]
    NoValue(String),
    /// A flag that must be there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that is no number, or too large a one.
    #[error("{flag} {value:?} is no number between {least} and {most}")]
    Number {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// The smallest that is allowed.
        least: u64,
        /// The largest that is allowed.
        most: u64,
    },
    /// The kernel takes no interface of that name.
    #[error("--interface {0:?}: the kernel takes 1 to 15 bytes without '/', ':' and blanks")]
    Interface(String),
    /// A direction that cannot be read or done.
    #[error("{flag}: {source}")]
    Direction {
        /// The flag.
        flag: &'static str,
        /// What is wrong with it.
        source: DirectionError,
    },
}

/// The smallest MTU that IPv4 works with.
const MTU_MIN: u16 = 68;

impl LinkArgs {
    /// The arguments after [`SUBCOMMAND`], in the form that [`LinkArgs::parse`] reads:
    /// `--interface wan0 --a PATH --b PATH --mtu 1500 --seed 1 --a-to-b delay=5ms,jitter=normal:50us --b-to-a delay=5ms`.
    pub fn to_args(&self) -> Vec<String> {
        let flags = [
            ("--interface", self.interface.clone()),
            ("--a", self.a.display().to_string()),
            ("--b", self.b.display().to_string()),
            ("--mtu", self.mtu.to_string()),
            ("--seed", self.seed.to_string()),
            ("--a-to-b", text::write(&self.a_to_b)),
            ("--b-to-a", text::write(&self.b_to_a)),
        ];
        let pairs = flags.into_iter();
        pairs
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }

    /// Reads the arguments after [`SUBCOMMAND`]. `--mtu` is 1500, `--seed` is 0 and a direction does nothing unless given.
    ///
    /// # Panics
    /// Never: the number is compared with its bounds first.
    pub fn parse<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Result<Self, ArgsError> {
        let mut args = args.into_iter();
        let (mut interface, mut a, mut b) = (None, None, None);
        let (mut mtu, mut seed) = (1500, 0);
        let (mut a_to_b, mut b_to_a) = (Direction::default(), Direction::default());
        while let Some(flag) = args.next() {
            let flag = flag.as_ref();
            let mut value = || {
                let value = args.next();
                value.ok_or_else(|| ArgsError::NoValue(flag.to_owned()))
            };
            match flag {
                "--interface" => interface = Some(name(value()?.as_ref())?),
                "--a" => a = Some(PathBuf::from(value()?.as_ref())),
                "--b" => b = Some(PathBuf::from(value()?.as_ref())),
                "--mtu" => {
                    let most = u64::from(u16::MAX);
                    let read = number("--mtu", value()?.as_ref(), MTU_MIN.into(), most)?;
                    mtu = u16::try_from(read).expect("it was compared with the largest");
                }
                "--seed" => seed = number("--seed", value()?.as_ref(), 0, u64::MAX)?,
                "--a-to-b" => a_to_b = direction("--a-to-b", value()?.as_ref())?,
                "--b-to-a" => b_to_a = direction("--b-to-a", value()?.as_ref())?,
                _ => return Err(ArgsError::Unknown(flag.to_owned())),
            }
        }
        Ok(Self {
            interface: interface.ok_or(ArgsError::Missing("--interface"))?,
            a: a.ok_or(ArgsError::Missing("--a"))?,
            b: b.ok_or(ArgsError::Missing("--b"))?,
            mtu,
            a_to_b,
            b_to_a,
            seed,
        })
    }
}

fn name(value: &str) -> Result<String, ArgsError> {
    let fits = (1..=15).contains(&value.len())
        && !matches!(value, "." | "..")
        && value
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':'));
    fits.then(|| value.to_owned())
        .ok_or_else(|| ArgsError::Interface(value.to_owned()))
}

fn number(flag: &'static str, value: &str, least: u64, most: u64) -> Result<u64, ArgsError> {
    let read = value.parse().ok();
    read.filter(|read| (least..=most).contains(read))
        .ok_or_else(|| ArgsError::Number {
            flag,
            value: value.to_owned(),
            least,
            most,
        })
}

fn direction(flag: &'static str, value: &str) -> Result<Direction, ArgsError> {
    text::read(value).map_err(|source| ArgsError::Direction { flag, source })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wan::{Jitter, Loss};

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

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(LinkArgs::parse(args().to_args()), Ok(args()));
    }

    #[test]
    fn the_command_line_is_the_one_that_is_documented() {
        let line = args().to_args().join(" ");
        let expected = "--interface wan0 --a {netns:node-a} --b /proc/self/fd/7 --mtu 1420 \
            --seed 18446744073709551615 --a-to-b delay=5ms,jitter=normal:50us,loss=bursts:0.1:3.5,reorder=0.25,\
            rate=50000000,queue=65536 --b-to-a delay=0ms";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_wrong_argument_is_named() {
        let wrong = |flag: &str, value: &str| {
            let mut args = args().to_args();
            let at = args.iter().position(|arg| arg == flag).expect("a flag");
            value.clone_into(&mut args[at + 1]);
            LinkArgs::parse(args).expect_err("wrong").to_string()
        };
        assert!(wrong("--mtu", "67").contains("--mtu \"67\" is no number between 68 and 65535"));
        assert!(wrong("--interface", "a/b").contains("15 bytes"));
        assert!(wrong("--b-to-a", "delay=5").contains("--b-to-a"));
        assert_eq!(
            LinkArgs::parse(["--a"]),
            Err(ArgsError::NoValue("--a".into()))
        );
        assert_eq!(
            LinkArgs::parse(["--interface", "x", "--b", "y"]),
            Err(ArgsError::Missing("--a"))
        );
        assert_eq!(
            LinkArgs::parse(["--x"]),
            Err(ArgsError::Unknown("--x".into()))
        );
    }
}
