//! What a fault needs of its scenario.

use crate::scenario::error::CheckError;
use crate::scenario::model::Scenario;
use crate::scenario::network::{Fault, Victim};

/// Whether a fault can be done to this scenario.
pub(super) fn check(fault: &Fault, scenario: &Scenario) -> Result<(), CheckError> {
    if fault.at() >= scenario.duration {
        let why = format!("the measured time ends after {}", scenario.duration);
        return Err(CheckError::new("fault.at", &fault.at(), why));
    }
    match fault {
        Fault::Outage { .. } if !scenario.fabric.has_wan() => {
            let why = "it is the WAN's, and this fabric has none";
            Err(CheckError::new("fault.what", &"outage", why))
        }
        Fault::Drain { who, .. } if who.who().is_err() => {
            let why = "a node is drained under a service; name renderer, streamer or client";
            Err(CheckError::new("fault.who", who, why))
        }
        Fault::Fail { who, .. } if *who != Victim::Streamer || !scenario.standby => {
            let why = "who fails stays dead, so that somebody must stand in: it goes with who = \"streamer\" and standby = true; to \
                 have it started again, write what = \"kill\"";
            Err(CheckError::new("fault.who", who, why))
        }
        Fault::Kill { who, .. } if who.who().is_err() && !scenario.fabric.has_gateways() => {
            let why = "only fabrics liqo and lisp have gateways that can be killed; name renderer, streamer or client";
            Err(CheckError::new("fault.who", who, why))
        }
        Fault::Move { .. } if !scenario.fabric.is_lab() => {
            let why = "pods of a lab get other addresses, and fabric = \"host\" has none; take single, nodeport or another";
            Err(CheckError::new("fault.what", &"move", why))
        }
        Fault::Move { who, .. } if !matches!(who, Victim::Renderer | Victim::Client) => {
            let why = "its address is how the others find it; name renderer or client";
            Err(CheckError::new("fault.who", who, why))
        }
        _ => Ok(()),
    }
}
