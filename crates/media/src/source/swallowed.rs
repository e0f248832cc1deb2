//! Failures of a demuxer that decodebin would keep to itself.
//!
//! While decodebin starts an element it holds that element's errors back, and forgets them where the element did start. A
//! demuxer that pulls its file reads in a thread of its own from that moment on: if it finds the file damaged before
//! decodebin is done, nobody hears of it, and nothing ever comes of the file (`connect_pad` and `remove_error_filter` in
//! gstdecodebin2.c).

use gstreamer as gst;
use gstreamer::prelude::*;

/// Posts what fails in a demuxer's own thread on the bus of `pipeline` too, where it may then come twice.
pub(super) fn repeat_errors(pipeline: &gst::Pipeline) {
    let Some(to) = pipeline.bus() else { return };
    pipeline.connect_deep_element_added(move |_, _, element| {
        let demuxer = element
            .factory()
            .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DEMUXER));
        let (true, Some(parents)) = (demuxer, element.bus()) else {
            return;
        };
        let (to, starter) = (to.clone(), std::thread::current().id());
        let tap = gst::Bus::new();
        tap.set_sync_handler(move |_, message| {
            // In the thread that starts it an error means that the next demuxer is tried, and one that found streams is heard.
            let found_nothing = message
                .src()
                .and_then(|source| source.downcast_ref::<gst::Element>())
                .is_some_and(|demuxer| demuxer.num_src_pads() == 0);
            if message.type_() == gst::MessageType::Error
                && found_nothing
                && std::thread::current().id() != starter
            {
                let _ = to.post(message.clone());
            }
            let _ = parents.post(message.clone());
            gst::BusSyncReply::Drop
        });
        element.set_bus(Some(&tap));
    });
}
