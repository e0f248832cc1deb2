//! What happened while frames were measured, from `events.csv`.

use std::path::Path;

use crate::series::Event;
use result::rows::{self, EventRow};
use stats::Window;

/// The largest number of listed events.
const MAX_EVENTS: usize = 60;

/// Words that say nothing about the stream: seconds that were disturbed are drawn as such.
const QUIET: [&str; 4] = ["disturbed", "joined", "measuring", "ready"];

/// The events of `path` within `window`, numbered from `first`; none where there is no such file. A line that a crash cut
/// off is left out.
pub(super) fn read(path: &Path, window: Window, first: usize) -> anyhow::Result<Vec<Event>> {
    let rows = rows::read::<EventRow>(path)?.unwrap_or_default().rows;
    let told = rows
        .into_iter()
        .filter(|row| window.contains(row.time_us.0) && !QUIET.contains(&row.event.as_str()));
    let mut events: Vec<_> = (first..)
        .zip(told)
        .map(|(number, row)| Event {
            number,
            at_s: (row.time_us.0 - window.from_us) as f64 / 1e6,
            what: row.event,
            who: row.who,
            detail: row.detail,
        })
        .collect();
    events.truncate(MAX_EVENTS);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happened_while_measuring_is_listed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.csv");
        std::fs::write(
            &path,
            "time_us,event,who,detail\n5,started,client,pid 4\n1000005,disturbed,host,load\n\
             1500000,signalled,gateway-b,SIGKILL\n1700000,started,gateway-b,\"pid 9, again\"\n99",
        )
        .expect("written");
        let window = Window {
            from_us: 1_000_000,
            to_us: 2_000_000,
        };
        let events = read(&path, window, 3).expect("such a file");
        let told: Vec<_> = events
            .iter()
            .map(|event| (event.number, event.what.as_str(), event.detail.as_str()))
            .collect();
        assert_eq!(
            told,
            [(3, "signalled", "SIGKILL"), (4, "started", "pid 9, again")]
        );
        assert!((events[0].at_s - 0.5).abs() < 1e-9);
        let none = read(&dir.path().join("none.csv"), window, 1).expect("no file is no event");
        assert!(none.is_empty());
    }
}
