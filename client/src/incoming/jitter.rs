//! The jitter buffers of an rtpbin, and its sessions for RTCP, found as they come to be.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::feedback::Feedback;

/// The jitter buffers of a session.
#[derive(Clone, Debug, Default)]
pub(crate) struct JitterBuffers(Arc<Mutex<Vec<gst::glib::WeakRef<gst::Element>>>>);

impl JitterBuffers {
    /// Finds those that `manager`, an rtpbin, makes; `feedback` gets to know its sessions.
    pub(crate) fn collect(&self, manager: &gst::Element, feedback: &Arc<Feedback>) {
        let told = Arc::clone(feedback);
        manager.connect("element-added", false, move |values| {
            told.has_element(&values.get(1)?.get::<gst::Element>().ok()?);
            None
        });
        let found = Arc::clone(&self.0);
        manager.connect("new-jitterbuffer", false, move |values| {
            let buffer = values.get(1)?.get::<gst::Element>().ok()?;
            found.lock().push(buffer.downgrade());
            None
        });
    }

    /// Packets that came after they had been given up.
    pub(crate) fn late_packets(&self) -> u64 {
        let buffers = self.0.lock();
        let stats = buffers
            .iter()
            .filter_map(gst::glib::WeakRef::upgrade)
            .map(|buffer| buffer.property::<gst::Structure>("stats"));
        stats
            .filter_map(|stats| stats.get::<u64>("num-late").ok())
            .sum()
    }
}
