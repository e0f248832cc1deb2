//! `events.csv`: starts, ends, signals, restarts, clock steps, disturbed seconds; a line each, written at once.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use service::clock;
use timeline::UnixMicros;

use result::rows::{EventRow, Writer};

/// The writer of a repetition's `events.csv`. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Events {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    writer: Writer<EventRow>,
    failure: Option<String>,
}

impl Events {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let writer = Writer::create(path)?;
        let inner = Inner {
            writer,
            failure: None,
        };
        Ok(Self {
            inner: Arc::new(Mutex::new(inner)),
        })
    }

    /// Writes an event that happens now.
    pub fn now(&self, event: &str, who: &str, detail: &str) {
        self.at(clock::now(), event, who, detail);
    }

    pub fn at(&self, at: UnixMicros, event: &str, who: &str, detail: &str) {
        let mut inner = self.inner.lock();
        let row = EventRow {
            time_us: at,
            event: event.to_owned(),
            who: who.to_owned(),
            detail: detail.to_owned(),
        };
        let written = inner.writer.write(&row);
        if let Err(error) = written.and_then(|()| inner.writer.flush()) {
            inner.failure.get_or_insert_with(|| format!("{error:#}"));
        }
    }

    /// The reason why the file could not be written on, if that happened.
    pub fn failure(&self) -> Option<String> {
        self.inner.lock().failure.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_there_at_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("events.csv");
        let events = Events::create(&path).expect("created");
        events.at(UnixMicros(5), "exited", "client", "exit 1, \"why\"");
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(
            text,
            "time_us,event,who,detail\n5,exited,client,\"exit 1, \"\"why\"\"\"\n"
        );
        assert_eq!(events.failure(), None);
    }
}
