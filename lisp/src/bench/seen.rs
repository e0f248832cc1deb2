//! What was seen of one outage: its moments, what programs said, and which answers came.

use anyhow::Context as _;

use super::fleet::{Answer, Fleet};
use super::outage::{Moments, Parts};
use crate::told::Told;

/// An outage as the client saw it.
#[derive(Debug)]
pub struct Seen {
    pub moments: Moments,
    /// The lengths of the outage's parts.
    pub parts: Parts,
    /// The events of the programs, with their names.
    pub events: Vec<(&'static str, Told)>,
    pub answers: Vec<Answer>,
}

/// The times at which an outage began, was known, and was over for the sender, in nanoseconds on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub begun_ns: u64,
    pub detected_ns: u64,
    pub mapped_ns: u64,
}

impl Seen {
    /// Takes what programs have said, and the outage between the first answer for which `is_after` holds and the one before it.
    pub fn take(
        fleet: &mut Fleet,
        known: Known,
        is_after: impl Fn(&Answer) -> bool,
    ) -> anyhow::Result<Self> {
        let (events, answers) = (
            std::mem::take(&mut fleet.events),
            std::mem::take(&mut fleet.answers),
        );
        let first = answers.iter().position(is_after);
        let first = first.context("nothing was answered afterwards")?;
        let last = first
            .checked_sub(1)
            .context("nothing was answered before")?;
        let (last, first) = (&answers[last], &answers[first]);
        let moments = Moments {
            begun_ns: known.begun_ns,
            last_ns: last.answered_ns,
            detected_ns: known.detected_ns,
            mapped_ns: known.mapped_ns,
            first_ns: first.answered_ns,
            lost: first.number.saturating_sub(last.number + 1),
        };
        Ok(Self {
            moments,
            parts: moments.parts()?,
            events,
            answers,
        })
    }
}
