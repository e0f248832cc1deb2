//! RTCP feedback (RFC 4585): a picture loss indication as soon as a packet is missing, so that the sender makes a key
//! frame now and not a group of pictures later.
//!
//! `rtpsession` takes the wish for a key frame as an event, and keeps it for its next regular report where that is due
//! within five seconds, which it always is. So an early report (section 3.5.2) is asked for with it. Early reports come
//! after the first regular one only, and not more often than regular ones: these come ten times a second instead of once in
//! five, as RFC 3550 section 6.2 allows from 3.6 Mbit/s on.
//!
//! Reports go where the packets come from. `rtspsrc` sends them to the address of the RTSP connection, unless the server
//! says another: behind a Kubernetes Service that is a virtual address, which leads to the pod by the ports that the
//! Service lists, and RTCP's is none of them.

use std::net::IpAddr;
use std::time::Duration;

use gio::prelude::*;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_net as gst_net;
use gstreamer_video as gst_video;
use parking_lot::Mutex;

/// Between a viewer's reports.
const REPORTS: Duration = Duration::from_millis(100);

/// How the caps of a stream say that its sender takes picture loss indications: `a=rtcp-fb:96 nack pli` in the SDP.
const NEGOTIATED: &str = "rtcp-fb-nack-pli";

/// The way back to the sender of the stream that is played. Useless, and harmless, until it is there.
#[derive(Debug, Default)]
pub(crate) struct Feedback(Mutex<Way>);

#[derive(Debug, Default)]
struct Way {
    /// Where the stream leaves rtspsrc.
    stream: glib::WeakRef<gst::Pad>,
    /// Of the streams that are set up: one, because only video is.
    sessions: Vec<glib::WeakRef<gst::Element>>,
}

impl Feedback {
    /// An element of rtspsrc's rtpbin.
    pub(crate) fn has_element(&self, element: &gst::Element) {
        let is_session = element
            .factory()
            .is_some_and(|factory| factory.name() == "rtpsession");
        if is_session {
            let nanoseconds = u64::try_from(REPORTS.as_nanos()).unwrap_or(u64::MAX);
            internal(element).set_property("rtcp-min-interval", nanoseconds);
            self.0.lock().sessions.push(element.downgrade());
        }
    }

    /// The pad of rtspsrc that is played.
    pub(crate) fn plays(&self, source: &gst::Element, pad: &gst::Pad) {
        self.0.lock().stream.set(Some(pad));
        let source = source.downgrade();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let sender = info.buffer().and_then(|packet| sender(packet));
            if let Some((sender, source)) = sender.zip(source.upgrade()) {
                report_to(&source, sender);
            }
            gst::PadProbeReturn::Remove
        });
    }

    /// Tells the sender that a picture was lost; false where it does not want to know. From the streaming thread.
    pub(crate) fn picture_lost(&self) -> bool {
        let (stream, sessions) = {
            let way = self.0.lock();
            let sessions = way.sessions.iter().filter_map(glib::WeakRef::upgrade);
            (way.stream.upgrade(), sessions.collect::<Vec<_>>())
        };
        let Some(pad) = stream else { return false };
        let negotiated = pad.current_caps().is_some_and(|caps| {
            caps.structure(0)
                .is_some_and(|stream| stream.has_field(NEGOTIATED))
        });
        if !negotiated {
            return false;
        }
        let wish = gst_video::UpstreamForceKeyUnitEvent::builder()
            .all_headers(true)
            .build();
        if !pad.send_event(wish) {
            return false;
        }
        for session in sessions {
            // With no delay to spare it cannot wait for the regular report.
            internal(&session).emit_by_name::<()>("send-rtcp", &[&0_u64]);
        }
        true
    }
}

/// What `rtpsession` keeps behind its element.
fn internal(session: &gst::Element) -> glib::Object {
    session.property("internal-session")
}

/// Where a packet came from; none over TCP.
fn sender(packet: &gst::BufferRef) -> Option<IpAddr> {
    let address = packet.meta::<gst_net::NetAddressMeta>()?.addr();
    let address = address.downcast::<gio::InetSocketAddress>().ok()?.address();
    address.to_str().parse().ok()
}

/// Has rtspsrc send its reports to this host.
fn report_to(source: &gst::Element, host: IpAddr) {
    let Some(source) = source.downcast_ref::<gst::Bin>() else {
        return;
    };
    let host = host.to_string();
    for sink in source.iterate_all_by_element_factory_name("udpsink") {
        let Ok(sink) = sink else { return };
        if sink.property::<String>("host") != host {
            sink.set_property("host", &host);
        }
    }
}
