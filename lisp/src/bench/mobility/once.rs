//! One move on a network of its own, and what became of the client's requests.

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

/// The address that the client's tunnel router has before the move, and after one to another address.
const BEFORE_IT: &str = "10.0.0.1";
const MOVED: &str = "10.0.0.3";

/// The address of the other tunnel router.
const OTHER: &str = "10.0.0.2";

/// The arguments by which a tunnel router registers the client's prefix while the client is there.
const WHILE_THERE: [&str; 4] = ["--site", "3", "--register-while", "site"];

/// The client's prefix.
const CLIENT: &str = "192.168.1.0/24";

/// A move of a client.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Move {
    /// The client's tunnel router gets another address, as when a device comes into another network
    OtherAddress,
    /// The client leaves its tunnel router's link for that of another one, and keeps its own address
    OtherRouter,
}

impl Move {
    /// Every variant.
    pub const ALL: [Self; 2] = [Self::OtherAddress, Self::OtherRouter];

    /// The word on the command line and in figures.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether it is told in this way. A tunnel router that a client comes to has sent nothing for it yet, so that it has nobody to
    /// solicit.
    pub fn is_told_by(self, way: Way) -> bool {
        self == Self::OtherAddress || way == Way::Publication
    }

    /// The locator that the client's prefix is mapped to after the move.
    const fn locator(self) -> &'static str {
        match self {
            Self::OtherAddress => MOVED,
            Self::OtherRouter => OTHER,
        }
    }
}

/// In which way the cluster's tunnel router hears of it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Way {
    /// A publication of the Map-Server, where the client's tunnel router, or the one that it has come to, registers
    Publication,
    /// A solicitation (SMR) of the client's tunnel router itself, and a request; no subscription, and a Map-Server that solicits nobody
    Smr,
}

impl Way {
    /// Every variant.
    pub const ALL: [Self; 2] = [Self::Publication, Self::Smr];

    /// The word on the command line and in figures.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Makes a network, has it work, and moves the client or its tunnel router; `phase` of a second is added before.
pub fn once(
    program: PathBuf,
    folder: &Path,
    (moves, way): (Move, Way),
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
    match moves {
        Move::OtherAddress => {
            fleet.start_client_xtr(&["--locator-of", "wan", "--site", "3"])?;
        }
        Move::OtherRouter => {
            let of = |locator| [["--locator", locator].as_slice(), &WHILE_THERE].concat();
            fleet.start_client_xtr(&of(BEFORE_IT))?;
            fleet.start_other_client_xtr(&of(OTHER))?;
        }
    }
    fleet.start_stream(&[])?;
    fleet.until("the client is mapped", PATIENCE, |fleet| {
        fleet.is_mapped("xtr-b", CLIENT, &[BEFORE_IT])
    })?;
    fleet.during(BEFORE + Duration::from_secs(1).mul_f64(phase));

    let begun_ns = monotonic_ns();
    make(moves, &fleet)?;
    let locator = moves.locator();
    fleet.until("the move is known", PATIENCE, |fleet| {
        fleet.is_mapped("xtr-b", CLIENT, &[locator])
    })?;
    let moved: IpAddr = locator.parse()?;
    let mapped_ns = fleet.first(
        "xtr-b",
        begun_ns,
        |told| matches!(told, Told::Mapping { locators, .. } if locators.contains(&moved)),
    )?;
    fleet.until("an answer after the move", PATIENCE, |fleet| {
        let last = fleet.answers.last();
        last.is_some_and(|answer| answer.answered_ns > mapped_ns)
    })?;
    fleet.during(AFTER);

    let detected_ns = match moves {
        Move::OtherAddress => {
            fleet.first("xtr-a", begun_ns, |told| matches!(told, Told::Moved { .. }))
        }
        Move::OtherRouter => fleet.first("xtr-d", begun_ns, |told| {
            matches!(
                told,
                Told::Attached {
                    is_attached: true,
                    ..
                }
            )
        }),
    }?;
    let known = Known {
        begun_ns,
        detected_ns,
        mapped_ns,
    };
    Seen::take(&mut fleet, known, |answer| answer.answered_ns > mapped_ns)
}

/// Makes the move.
fn make(moves: Move, fleet: &Fleet) -> anyhow::Result<()> {
    match moves {
        Move::OtherAddress => {
            let lines = format!(
                "address delete {BEFORE_IT}/24 dev wan\naddress add {MOVED}/24 dev wan\n"
            );
            fleet.network.configure("a", &lines)
        }
        // As from one cell to the next: the one link goes, the other comes, the address stays.
        Move::OtherRouter => fleet.network.configure(
            "client",
            "link set site down\naddress delete 192.168.1.2/24 dev site\naddress add 192.168.1.2/24 dev site-d\n\
             link set site-d up\nroute add default via 192.168.1.1\n",
        ),
    }
}
