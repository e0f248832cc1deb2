//! What is done on purpose during a repetition, in the order in which it is due. Pure.

use std::time::Duration;

use settings::Role;

use super::place;
use crate::scenario::{ClusterName, Fault, What};

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Something is done to the place.
    Place(place::Fault),
    /// The program of this role is killed and started again.
    Kill(Role),
}

/// Everything to do, each with its time from the beginning of measuring.
pub(super) fn actions(faults: &[Fault]) -> Vec<(Duration, Action)> {
    let mut actions = Vec::new();
    for fault in faults {
        match (fault.what, &fault.who, fault.lasts) {
            (What::Outage, _, lasts) => {
                let lasts = lasts.map_or(Duration::ZERO, |span| span.0);
                let ends = fault.at.0.saturating_add(lasts);
                actions.push((fault.at.0, Action::Place(place::Fault::OutageBegins)));
                actions.push((ends, Action::Place(place::Fault::OutageEnds)));
            }
            (What::Kill, Some(who), _) => {
                actions.extend(kill(who).map(|action| (fault.at.0, action)));
            }
            // The file's check refuses a kill of nobody.
            (What::Kill, None, _) => {}
        }
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
}

/// The kill of whoever the scenario names; the file's check refuses everybody else.
fn kill(who: &str) -> Option<Action> {
    let gateway = |cluster| Action::Place(place::Fault::KillGateway(cluster));
    Some(match who {
        "renderer" => Action::Kill(Role::Renderer),
        "streamer" => Action::Kill(Role::Streamer),
        "client" => Action::Kill(Role::Client),
        "gateway-a" => gateway(ClusterName::A),
        "gateway-b" => gateway(ClusterName::B),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Span;

    #[test]
    fn they_come_in_order_and_outages_end() {
        let fault = |at, what, lasts: Option<u64>, who: Option<&str>| Fault {
            at: Span::seconds(at),
            what,
            lasts: lasts.map(Span::seconds),
            who: who.map(ToOwned::to_owned),
        };
        let found = actions(&[
            fault(5, What::Kill, None, Some("client")),
            fault(2, What::Outage, Some(4), None),
            fault(7, What::Kill, None, Some("gateway-b")),
        ]);
        let expected = [
            (2, Action::Place(place::Fault::OutageBegins)),
            (5, Action::Kill(Role::Client)),
            (6, Action::Place(place::Fault::OutageEnds)),
            (7, Action::Place(place::Fault::KillGateway(ClusterName::B))),
        ]
        .map(|(at, action)| (Duration::from_secs(at), action));
        assert_eq!(found, expected);
    }
}
