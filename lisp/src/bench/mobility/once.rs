//! One move on a ground of its own, and what became of the client's requests.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use service::Shutdown;

use crate::bench::cast::{B, ControlPlan};
use crate::bench::fleet::Fleet;
use crate::bench::seen::{Known, Seen};
use crate::told::{Told, monotonic_ns};

/// How long requests are answered before the move: a mapping is asked for at most once a second.
const BEFORE: Duration = Duration::from_millis(1_200);

/// How long after the first answer it is still listened.
const AFTER: Duration = Duration::from_millis(100);

/// How long the move may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The address that the client's tunnel router has after the move.
const MOVED: &str = "10.0.0.3";

/// The client's prefix.
const CLIENT: &str = "192.168.1.0/24";

/// In which way the cluster's tunnel router hears of it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Way {
    /// A publication of the Map-Server, where the client's tunnel router registers its new address
    Publication,
    /// A solicitation (SMR) of the client's tunnel router itself, and a request; no subscription, and a Map-Server that solicits nobody
    Smr,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Publication, Self::Smr];

    /// The word for it.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Makes a ground, has it work, and moves the client's tunnel router; `phase` of a second is added before.
pub fn once(
    program: PathBuf,
    folder: &Path,
    way: Way,
    phase: f64,
    shutdown: &Shutdown,
) -> anyhow::Result<Seen> {
    let mut fleet = Fleet::new(program, folder, shutdown.clone())?;
    let is_smr = way == Way::Smr;
    fleet.start_control(ControlPlan {
        anonymous_b: is_smr,
        is_silent: is_smr,
        ..ControlPlan::default()
    })?;
    fleet.start_service(B)?;
    fleet.start_xtr(B, false, is_smr)?;
    fleet.start_client_xtr(&["--locator-of", "wan", "--site", "3"])?;
    fleet.start_stream(&[])?;
    fleet.until("the client is mapped", PATIENCE, |fleet| {
        fleet.is_mapped("xtr-b", CLIENT, &["10.0.0.1"])
    })?;
    fleet.during(BEFORE + Duration::from_secs(1).mul_f64(phase));

    let begun_ns = monotonic_ns();
    let moves = format!("address delete 10.0.0.1/24 dev wan\naddress add {MOVED}/24 dev wan\n");
    fleet.ground.configure("a", &moves)?;
    fleet.until("the move is known", PATIENCE, |fleet| {
        fleet.is_mapped("xtr-b", CLIENT, &[MOVED])
    })?;
    let moved: IpAddr = MOVED.parse()?;
    let mapped_ns = fleet.first(
        "xtr-b",
        begun_ns,
        |told| matches!(told, Told::Mapping { locators, .. } if locators.first() == Some(&moved)),
    )?;
    fleet.until("an answer after the move", PATIENCE, |fleet| {
        let last = fleet.answers.last();
        last.is_some_and(|answer| answer.answered_ns > mapped_ns)
    })?;
    fleet.during(AFTER);

    let detected_ns = fleet.first("xtr-a", begun_ns, |told| matches!(told, Told::Moved { .. }))?;
    let known = Known {
        begun_ns,
        detected_ns,
        mapped_ns,
    };
    Seen::take(&mut fleet, known, |answer| answer.answered_ns > mapped_ns)
}
