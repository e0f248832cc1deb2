//! What is done on purpose during a repetition, in the order in which it is due. Pure.

use std::time::Duration;

use settings::Role;

use super::place;
use crate::scenario::Fault;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Something is done to the place.
    Place(place::Fault),
    /// The program of this role is killed and started again.
    Kill(Role),
    /// The program of this role is killed, and stays dead.
    Fail(Role),
    /// The node under this role is drained.
    DrainBegins(Role),
    /// The drained node takes pods again.
    DrainEnds(Role),
}

/// Everything to do, each with its time from the beginning of measuring.
pub(super) fn actions(faults: &[Fault]) -> Vec<(Duration, Action)> {
    let mut actions = Vec::new();
    for fault in faults {
        match fault {
            Fault::Outage { at, lasts, cluster } => {
                let ends = at.0.saturating_add(lasts.0);
                let (begin, end) = (place::Fault::OutageBegins, place::Fault::OutageEnds);
                actions.push((at.0, Action::Place(begin(*cluster))));
                actions.push((ends, Action::Place(end(*cluster))));
            }
            Fault::Drain { at, lasts, who } => {
                let ends = at.0.saturating_add(lasts.0);
                // A scenario's check lets no gateway be drained.
                if let Ok(role) = who.who() {
                    actions.push((at.0, Action::DrainBegins(role)));
                    actions.push((ends, Action::DrainEnds(role)));
                }
            }
            Fault::Kill { at, who } => {
                let kill = who.who().map_or_else(
                    |cluster| Action::Place(place::Fault::KillGateway(cluster)),
                    Action::Kill,
                );
                actions.push((at.0, kill));
            }
            Fault::Fail { at, who } => {
                // A scenario's check lets nobody else fail.
                actions.extend(who.who().map(|role| (at.0, Action::Fail(role))));
            }
            Fault::Move { at, who } => {
                let moves = |role| (at.0, Action::Place(place::Fault::Move(role)));
                actions.extend(who.who().map(moves));
            }
        }
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use settings::{ClusterName, Span};

    use crate::scenario::Victim;

    #[test]
    fn they_come_in_order_and_what_lasts_ends() {
        let (at, lasts) = (Span::seconds, Span::seconds(4));
        let kill = |at, who| Fault::Kill { at, who };
        let found = actions(&[
            kill(at(5), Victim::Client),
            Fault::Outage {
                at: at(2),
                lasts,
                cluster: ClusterName::B,
            },
            Fault::Drain {
                at: at(1),
                lasts,
                who: Victim::Renderer,
            },
            kill(at(7), Victim::GatewayB),
            Fault::Fail {
                at: at(8),
                who: Victim::Streamer,
            },
            Fault::Move {
                at: at(3),
                who: Victim::Client,
            },
        ]);
        let expected = [
            (1, Action::DrainBegins(Role::Renderer)),
            (2, Action::Place(place::Fault::OutageBegins(ClusterName::B))),
            (3, Action::Place(place::Fault::Move(Role::Client))),
            (5, Action::Kill(Role::Client)),
            (5, Action::DrainEnds(Role::Renderer)),
            (6, Action::Place(place::Fault::OutageEnds(ClusterName::B))),
            (7, Action::Place(place::Fault::KillGateway(ClusterName::B))),
            (8, Action::Fail(Role::Streamer)),
        ]
        .map(|(at, action)| (Duration::from_secs(at), action));
        assert_eq!(found, expected);
    }
}
