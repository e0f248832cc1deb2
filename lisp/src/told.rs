//! What programs say on standard output of what happens in them, for whoever measures: a line of JSON each, with the time on the clock that
//! all programs of a machine share, whatever their namespaces.

use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::eid::Eid;
use crate::services::ServiceName;

/// Something that has happened in a program; times are nanoseconds on `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Told {
    /// The program serves. Every program says so.
    Ready,
    /// A tunnel router sends packets for a prefix to these locators, the best first; to none where it has no mapping.
    Mapping {
        at_ns: u64,
        eid: Eid,
        locators: Vec<IpAddr>,
    },
    /// A tunnel router has these locators from now on.
    Moved { at_ns: u64, locators: Vec<IpAddr> },
    /// A tunnel router has what it registers on its link from now on, or no more.
    Attached { at_ns: u64, is_attached: bool },
    /// An agent has answered a review of a service that came at `begun_ns`, and waited for the control plane so long meanwhile.
    Reviewed {
        at_ns: u64,
        begun_ns: u64,
        asking_ns: u64,
        service: ServiceName,
    },
    /// An agent has had its cluster registered for its service; the time is that of its request.
    Registered {
        at_ns: u64,
        /// From the reason for the request to the request.
        noticing_ns: u64,
        /// From the request to its answer.
        answering_ns: u64,
        service: ServiceName,
    },
    /// An agent has had its cluster withdrawn from its service; the time is that of its request.
    Withdrawn { at_ns: u64 },
    /// A control plane has answered a request of an agent about a service, which took it so long.
    Served {
        at_ns: u64,
        taking_ns: u64,
        what: ServedWhat,
        service: ServiceName,
    },
    /// A control plane has missed the heartbeats of a cluster.
    Lost { at_ns: u64, cluster: String },
    /// A name server names another address.
    Renamed { at_ns: u64, address: IpAddr },
    /// A client has resolved a name to another address.
    Resolved { at_ns: u64, address: IpAddr },
    /// A client has an answer to the request of this number.
    Answered {
        at_ns: u64,
        number: u64,
        sent_ns: u64,
        by: String,
    },
}

/// The kind of a request of an agent that a control plane has served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ServedWhat {
    /// The address of a service.
    Address,
    /// The registration of a service that runs in a cluster.
    Registration,
}

impl Told {
    /// Prints the line. A standard output that nobody reads is no error.
    pub fn say(&self) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{}", self.line());
        let _ = stdout.flush();
    }

    fn line(&self) -> String {
        serde_json::to_string(self).expect("text, numbers and addresses are JSON")
    }

    /// The time of the event, its name, and what it is about; none of an event without a time.
    pub fn fields(&self) -> Option<(u64, &'static str, String)> {
        let addresses = |all: &[IpAddr]| {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            all.join(" ")
        };
        let (at_ns, about) = match self {
            Self::Ready => return None,
            Self::Mapping {
                at_ns,
                eid,
                locators,
            } => (at_ns, format!("{eid} {}", addresses(locators))),
            Self::Attached { at_ns, is_attached } => (at_ns, is_attached.to_string()),
            Self::Moved { at_ns, locators } => (at_ns, addresses(locators)),
            Self::Reviewed { at_ns, service, .. } | Self::Registered { at_ns, service, .. } => {
                (at_ns, service.to_string())
            }
            Self::Served {
                at_ns,
                what,
                service,
                ..
            } => (at_ns, format!("{} {service}", <&str>::from(what))),
            Self::Withdrawn { at_ns } => (at_ns, String::new()),
            Self::Lost { at_ns, cluster } => (at_ns, cluster.clone()),
            Self::Renamed { at_ns, address } | Self::Resolved { at_ns, address } => {
                (at_ns, address.to_string())
            }
            Self::Answered { at_ns, by, .. } => (at_ns, by.clone()),
        };
        Some((*at_ns, self.into(), about))
    }
}

/// Nanoseconds on `CLOCK_MONOTONIC`.
pub fn monotonic_ns() -> u64 {
    // Every Linux has this clock, and it begins at 0.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_said() {
        let told = Told::Mapping {
            at_ns: 7,
            eid: "10.112.0.10".parse().unwrap(),
            locators: vec![[10, 0, 0, 11].into(), [10, 0, 0, 12].into()],
        };
        let line = told.line();
        assert_eq!(
            line,
            r#"{"event":"mapping","at_ns":7,"eid":"10.112.0.10/32","locators":["10.0.0.11","10.0.0.12"]}"#
        );
        assert_eq!(serde_json::from_str::<Told>(&line).unwrap(), told);
        let about = "10.112.0.10/32 10.0.0.11 10.0.0.12".to_owned();
        assert_eq!(told.fields(), Some((7, "mapping", about)));
        let ready = r#"{"event":"ready","program":"xr-lisp-xtr","ops":"127.0.0.1:1"}"#;
        assert_eq!(serde_json::from_str::<Told>(ready).unwrap(), Told::Ready);
    }

    #[test]
    fn the_clock_goes_on() {
        let before = monotonic_ns();
        assert!(before > 0 && monotonic_ns() >= before);
    }
}
