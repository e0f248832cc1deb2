//! The clock of each source, a scraped service or a client that posts: its offset to ours, applied as its times come in, and
//! the worst uncertainty of what was applied.

use std::collections::BTreeMap;
use std::time::Duration;

use timeline::clock_filter::{Correction, Known};

use result::{ClockMeta, ClockSource};

/// Sources that are kept apart: 64 clients, and more services than anybody scrapes.
const MAX_SOURCES: usize = 256;

/// How long a client's reports are put off until its clock, which is to be asked, has answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clocks of every source.
#[derive(Debug)]
pub(super) struct Clocks {
    /// Everything is on one host: there is nothing to ask.
    shared: bool,
    sources: BTreeMap<String, Source>,
}

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four facts about a source, of which any may hold without the others"
)]
struct Source {
    asked: bool,
    known: Option<Known>,
    /// Whether it was ever told how far to put times right.
    is_applied: bool,
    /// What was applied last.
    applied: Correction,
    /// The largest uncertainty of a correction that was applied.
    worst_us: u64,
    /// Times came in while the clock was unknown.
    unknown: bool,
    /// When its first times came in.
    since: Option<Duration>,
    generates: bool,
    consumes: bool,
}

impl Clocks {
    /// Of sources that share our clock, or do not.
    pub(super) const fn new(shared: bool) -> Self {
        Self {
            shared,
            sources: BTreeMap::new(),
        }
    }

    /// The clock of `source` will be asked.
    pub(super) fn will_ask(&mut self, source: &str) {
        if let Some(source) = self.source(source) {
            source.asked = true;
        }
    }

    /// The clock of `source` was asked.
    pub(super) fn heard(&mut self, source: &str, known: Known) {
        if let Some(source) = self.source(source) {
            source.asked = true;
            source.known = Some(known);
        }
    }

    /// Whether times of `source` must wait for its clock to answer; not for ever.
    pub(super) fn is_awaited(&mut self, source: &str, now: Duration) -> bool {
        self.source(source).is_some_and(|source| {
            let since = *source.since.get_or_insert(now);
            source.asked && source.known.is_none() && now.saturating_sub(since) < PATIENCE
        })
    }

    /// What puts times of `source` right that came in just now. `consumes` where they are of a client.
    pub(super) fn apply(&mut self, source: &str, consumes: bool) -> Correction {
        let shared = self.shared;
        let Some(source) = self.source(source) else {
            return Correction::default();
        };
        source.consumes |= consumes;
        match source.known.map(Known::or_none) {
            _ if shared => Correction::default(),
            None => {
                source.unknown = true;
                Correction::default()
            }
            Some(clock) => {
                source.is_applied = true;
                source.applied = clock.correction;
                source.worst_us = source.worst_us.max(clock.uncertainty_us);
                clock.correction
            }
        }
    }

    /// Notes that `source` draws stamps.
    pub(super) fn generates(&mut self, source: &str) {
        if let Some(source) = self.source(source) {
            source.generates = true;
        }
    }

    /// What puts the clock right that stamps are drawn from, where only one source draws them.
    pub(super) fn of_stamps(&self) -> Correction {
        let mut clocks = self
            .sources
            .values()
            .filter(|source| source.generates)
            .map(|source| source.applied);
        match (clocks.next(), clocks.next()) {
            (Some(clock), None) => clock,
            _ => Correction::default(),
        }
    }

    /// By how much a latency may be wrong for the clocks that are known, in microseconds: that of both that it is the
    /// difference of, at their worst.
    pub(super) fn uncertainty_us(&self) -> u64 {
        let worst = |of: fn(&Source) -> bool| {
            let sources = self.sources.values().filter(|source| of(source));
            sources.map(|source| source.worst_us).max().unwrap_or(0)
        };
        worst(|source| source.generates).saturating_add(worst(|source| source.consumes))
    }

    /// What `meta.json` says of each source: as was last applied to times that it told, or as is known now of one that told none.
    pub(super) fn meta(&self) -> BTreeMap<String, ClockMeta> {
        let metas = self.sources.iter().map(|(name, source)| {
            let clock = if self.shared {
                ClockMeta::SHARED
            } else if source.unknown || source.known.is_none() {
                ClockMeta {
                    source: ClockSource::Unknown,
                    offset_us: 0,
                    drift_ppb: 0,
                    uncertainty_us: None,
                }
            } else {
                let now = source.known.map(Known::or_none).unwrap_or_default();
                let (correction, uncertainty_us) = if source.is_applied {
                    (source.applied, source.worst_us)
                } else {
                    (now.correction, now.uncertainty_us)
                };
                ClockMeta {
                    source: ClockSource::Asked,
                    offset_us: correction.offset_us,
                    drift_ppb: correction.drift_ppb,
                    uncertainty_us: Some(uncertainty_us),
                }
            };
            (name.clone(), clock)
        });
        metas.collect()
    }

    fn source(&mut self, name: &str) -> Option<&mut Source> {
        if !self.sources.contains_key(name) {
            if self.sources.len() >= MAX_SOURCES {
                return None;
            }
            self.sources.insert(name.to_owned(), Source::default());
        }
        self.sources.get_mut(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Known = Known {
        correction: Correction::fixed(500_000),
        uncertainty_us: 300,
    };
    const HERE: Known = Known {
        correction: Correction::fixed(40),
        uncertainty_us: 60,
    };
    const NONE: Correction = Correction::fixed(0);

    #[test]
    fn one_host_has_one_clock() {
        let mut clocks = Clocks::new(true);
        clocks.generates("renderer");
        assert_eq!(
            (
                clocks.apply("renderer", false),
                clocks.apply("client", true)
            ),
            (NONE, NONE)
        );
        assert_eq!(clocks.uncertainty_us(), 0);
        assert_eq!(clocks.meta()["client"], ClockMeta::SHARED);
    }

    /// The later offset of a clock is for what comes later, and the worst that was applied is what is said.
    #[test]
    fn each_source_has_an_offset_of_its_own_and_the_worst_is_kept() {
        let mut clocks = Clocks::new(false);
        for (source, estimate) in [("a", FAR), ("b", HERE)] {
            clocks.heard(source, estimate);
            clocks.generates(source);
        }
        clocks.heard("client", HERE);
        assert_eq!(clocks.apply("a", false), FAR.correction);
        assert_eq!(clocks.apply("b", false), NONE, "it may well be ours");
        assert_eq!(clocks.apply("client", true), NONE);
        assert_eq!(clocks.of_stamps(), NONE, "two draw stamps");
        let better = Known {
            uncertainty_us: 10,
            ..FAR
        };
        clocks.heard("a", better);
        assert_eq!(clocks.apply("a", false), FAR.correction);
        assert_eq!(clocks.meta()["a"].uncertainty_us, Some(300));
        assert_eq!(clocks.uncertainty_us(), 300 + 100);
    }

    #[test]
    fn a_clock_that_nobody_asked_is_unknown() {
        let mut clocks = Clocks::new(false);
        clocks.heard("renderer", HERE);
        clocks.generates("renderer");
        clocks.apply("renderer", false);
        clocks.apply("client", true);
        assert_eq!(clocks.meta()["client"].source, ClockSource::Unknown);
    }

    /// Beside an ffmpeg runs a program of ours that tells its node's clock, and nothing else.
    #[test]
    fn a_clock_of_which_no_times_came_is_told_as_it_is_known() {
        let mut clocks = Clocks::new(false);
        clocks.heard("renderer", HERE);
        clocks.heard("client", FAR);
        let told = ["renderer", "client"].map(|source| {
            let clock = clocks.meta()[source];
            (clock.offset_us, clock.uncertainty_us)
        });
        assert_eq!(told, [(0, Some(100)), (500_000, Some(300))]);
    }

    #[test]
    fn a_client_waits_for_its_clock_but_not_for_ever() {
        let mut clocks = Clocks::new(false);
        clocks.will_ask("client");
        let at = Duration::from_secs;
        assert!(clocks.is_awaited("client", at(100)) && clocks.is_awaited("client", at(109)));
        assert!(!clocks.is_awaited("client", at(110)));
        assert!(!clocks.is_awaited("another", at(100)));
        clocks.heard("client", HERE);
        assert!(!clocks.is_awaited("client", at(101)));
    }

    #[test]
    fn sources_are_bounded() {
        let mut clocks = Clocks::new(false);
        for n in 0..1_000 {
            clocks.apply(&n.to_string(), true);
        }
        assert_eq!(clocks.sources.len(), MAX_SOURCES);
    }
}
