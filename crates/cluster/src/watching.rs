//! Objects as they are by now, kept up by watches, until something is true of them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{Stream, StreamExt as _, stream::select_all};
use kube::api::{Api, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

/// What a watch is of.
#[derive(Debug)]
pub(crate) struct Watch {
    api: Api<DynamicObject>,
    config: watcher::Config,
}

/// The objects of every watch, in the order of the watches, by name.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<BTreeMap<String, Value>>);

/// The reason why watching ended without what was awaited.
#[derive(Debug)]
pub(crate) enum Unseen {
    /// The time was over.
    Late(Seen),
    /// The API server refuses.
    Refused(kube::Error),
}

impl Watch {
    /// Watches the object of this name.
    pub(crate) fn object(api: Api<DynamicObject>, name: &str) -> Self {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        Self { api, config }
    }

    /// Watches every object with these labels.
    pub(crate) fn labelled(api: Api<DynamicObject>, labels: &str) -> Self {
        let config = watcher::Config::default().labels(labels);
        Self { api, config }
    }

    fn events(
        self,
        at: usize,
    ) -> impl Stream<Item = (usize, watcher::Result<Event<DynamicObject>>)> {
        // A broken connection is opened again, later and later; the time limit is the caller's.
        watcher(self.api, self.config)
            .default_backoff()
            .map(move |event| (at, event))
    }
}

impl Seen {
    /// The objects of a watch.
    pub(crate) fn of(&self, watch: usize) -> impl Iterator<Item = &Value> {
        self.0.get(watch).into_iter().flat_map(BTreeMap::values)
    }

    /// The one object of a watch by name.
    pub(crate) fn one(&self, watch: usize) -> Option<&Value> {
        self.of(watch).next()
    }
}

/// Waits until `judge` has an answer. It is asked when every watch has told all that is there, and after each change.
pub(crate) async fn until<T>(
    watches: Vec<Watch>,
    limit: Duration,
    mut judge: impl FnMut(&Seen) -> Option<T>,
) -> Result<T, Unseen> {
    // Without a limit to reach: longer than any run.
    let deadline = Instant::now() + limit.min(Duration::from_hours(30 * 24));
    let mut seen = Seen(watches.iter().map(|_| BTreeMap::new()).collect());
    let mut told = vec![false; watches.len()];
    let mut fresh: Vec<BTreeMap<String, Value>> = seen.0.clone();
    let streams = watches
        .into_iter()
        .enumerate()
        .map(|(at, watch)| watch.events(at).boxed());
    let mut events = select_all(streams);
    loop {
        let Ok(Some((at, event))) = timeout_at(deadline, events.next()).await else {
            return Err(Unseen::Late(seen));
        };
        match event {
            Ok(Event::Init) => fresh[at].clear(),
            Ok(Event::InitApply(object)) => put(&mut fresh[at], &object),
            Ok(Event::InitDone) => {
                seen.0[at] = std::mem::take(&mut fresh[at]);
                told[at] = true;
            }
            Ok(Event::Apply(object)) => put(&mut seen.0[at], &object),
            Ok(Event::Delete(object)) => {
                let name = object.metadata.name.unwrap_or_default();
                seen.0[at].remove(&name);
            }
            Err(error) => {
                if let Some(refused) = refusal(error) {
                    return Err(Unseen::Refused(refused));
                }
                continue;
            }
        }
        if told.iter().all(|told| *told)
            && let Some(answer) = judge(&seen)
        {
            return Ok(answer);
        }
    }
}

fn put(objects: &mut BTreeMap<String, Value>, object: &DynamicObject) {
    let name = object.metadata.name.clone().unwrap_or_default();
    // What came as JSON goes back into it.
    if let Ok(value) = serde_json::to_value(object) {
        objects.insert(name, value);
    }
}

/// The error of a request that is refused now and later.
fn refusal(error: watcher::Error) -> Option<kube::Error> {
    let (watcher::Error::InitialListFailed(error)
    | watcher::Error::WatchStartFailed(error)
    | watcher::Error::WatchFailed(error)) = error
    else {
        return None;
    };
    let is_final =
        matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404));
    is_final.then_some(error)
}
