//! What is done on purpose during a repetition, in the order in which it is due. Pure.

use std::time::Duration;

use crate::scenario::{Fault, What};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The WAN carries nothing from now on.
    OutageBegins,
    /// It carries everything again.
    OutageEnds,
    /// This process is killed and started again.
    Kill(String),
}

/// Everything to do, each with its time from the beginning of measuring.
pub(super) fn actions(faults: &[Fault]) -> Vec<(Duration, Action)> {
    let mut actions = Vec::new();
    for fault in faults {
        match (fault.what, &fault.who, fault.lasts) {
            (What::Outage, _, lasts) => {
                let lasts = lasts.map_or(Duration::ZERO, |span| span.0);
                actions.push((fault.at.0, Action::OutageBegins));
                actions.push((fault.at.0.saturating_add(lasts), Action::OutageEnds));
            }
            (What::Kill, Some(who), _) => actions.push((fault.at.0, Action::Kill(who.clone()))),
            // The file's check refuses a kill of nobody.
            (What::Kill, None, _) => {}
        }
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
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
        ]);
        let expected = [
            (2, Action::OutageBegins),
            (5, Action::Kill("client".into())),
            (6, Action::OutageEnds),
        ]
        .map(|(at, action)| (Duration::from_secs(at), action));
        assert_eq!(found, expected);
    }
}
