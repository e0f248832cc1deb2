//! Whether the agent is ready, out of its parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use service::Readiness;

/// A part that has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The control plane takes the agent for the cluster's.
    Control,
    /// Every Service and `EndpointSlice` has been seen.
    Objects,
    /// The API server believes the webhook's certificate.
    Certificate,
}

/// The parts, and why those are missing that are.
#[derive(Clone)]
pub(crate) struct Parts {
    missing: Arc<Mutex<BTreeMap<Part, &'static str>>>,
    whole: Readiness,
}

impl Parts {
    /// A readiness of which every part is missing yet.
    pub(crate) fn new(whole: Readiness) -> Self {
        let missing = BTreeMap::from([
            (Part::Control, "the control plane has not answered"),
            (
                Part::Objects,
                "Services and EndpointSlices are being listed",
            ),
            (
                Part::Certificate,
                "the webhook's certificate is not known to the API server",
            ),
        ]);
        let parts = Self {
            missing: Arc::new(Mutex::new(missing)),
            whole,
        };
        parts.tell(&parts.missing.lock());
        parts
    }

    /// The part is there, or missing because of this.
    pub(crate) fn set(&self, part: Part, why_not: Option<&'static str>) {
        let mut missing = self.missing.lock();
        match why_not {
            Some(why) => drop(missing.insert(part, why)),
            None => drop(missing.remove(&part)),
        }
        self.tell(&missing);
    }

    fn tell(&self, missing: &BTreeMap<Part, &'static str>) {
        match missing.values().next() {
            Some(why) => self.whole.set_unready(*why),
            None => self.whole.set_ready(),
        }
    }
}
