//! A bound on how often the program logs one kind of line, so that whoever causes it cannot flood the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Lines of one kind, which is one place in the source, in each [`WINDOW`].
const LINES: u32 = 50;

/// The time after which a kind of line is counted anew.
const WINDOW: Duration = Duration::from_secs(10);

/// A layer that drops the events of a kind beyond its lines. Whoever asks for more than `info` gets all of that.
#[derive(Debug)]
pub(super) struct Limit {
    /// For each kind, when its window began, and its lines since.
    windows: Mutex<HashMap<Identifier, (Instant, u32)>>,
    dropped: Counter,
}

impl Limit {
    /// A limit that counts in `dropped` what it drops.
    pub(super) fn new(dropped: Counter) -> Self {
        Self {
            windows: Mutex::default(),
            dropped,
        }
    }

    /// Counts a line, and returns which one of its window it is, from 1.
    fn count(&self, kind: Identifier, now: Instant) -> u32 {
        let mut windows = self.windows.lock();
        let (began, lines) = windows.entry(kind).or_insert((now, 0));
        if now.duration_since(*began) >= WINDOW {
            (*began, *lines) = (now, 0);
        }
        *lines = lines.saturating_add(1);
        *lines
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let line = self.count(metadata.callsite(), Instant::now());
        if line == LINES + 1 {
            let seconds = WINDOW.as_secs();
            tracing::warn!(
                from = metadata.target(),
                "more than {LINES} lines like the last in {seconds} s: the rest is dropped"
            );
        }
        if line > LINES {
            self.dropped.inc();
        }
        line <= LINES
    }
}

#[cfg(test)]
mod tests {
    use tracing::callsite::Callsite as _;

    use super::*;

    #[test]
    fn each_kind_has_its_lines_in_each_window() {
        let one =
            tracing::callsite!(name: "one", kind: tracing::metadata::Kind::EVENT, fields: message);
        let other = tracing::callsite!(name: "other", kind: tracing::metadata::Kind::EVENT, fields: message);
        let (one, other) = (one.metadata().callsite(), other.metadata().callsite());
        let limit = Limit::new(Counter::default());
        let begun = Instant::now();
        let last = begun + WINDOW;
        for line in 1..=LINES + 5 {
            assert_eq!(
                limit.count(
                    one.clone(),
                    last.min(begun + Duration::from_secs(line.into()))
                ),
                line
            );
        }
        assert_eq!(limit.count(other, last), 1);
        assert_eq!(limit.count(one.clone(), begun + WINDOW), LINES + 6);
        assert_eq!(limit.count(one, begun + Duration::from_secs(1) + WINDOW), 1);
    }
}
