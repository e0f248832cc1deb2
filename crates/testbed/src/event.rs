//! What happens to a supervised process, and how it ends.

use std::fmt;
use std::process::ExitStatus;

use timeline::UnixMicros;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// The kernel did not tell.
    Unknown,
}

impl Exit {
    /// Ended by itself, and well.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("ended"),
        }
    }
}

/// Something that happened to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The time by the testbed's clock.
    pub at: UnixMicros,
    /// The process's word in the scenario.
    pub role: String,
    pub kind: EventKind,
}

/// What happened to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    Started {
        pid: u32,
    },
    /// The process said that it is ready.
    Ready,
    /// A signal was sent to it on purpose.
    Signalled {
        signal: &'static str,
    },
    /// The process ended.
    Exited(Exit),
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}
