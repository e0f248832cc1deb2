//! An RTSP session through rtspsrc, with RTP over UDP or interleaved on the RTSP connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_sdp as gst_sdp;
use media::Error;
use media::bus::{BusEvent, Kind, SERVER_CLOSED};
use settings::Transport;

use super::contract::{Ending, Settings};
use super::feedback::Feedback;
use super::jitter::JitterBuffers;
use super::{tls, tracks};

/// How long rtspsrc may wait for one answer of the server, and how long it takes a lost SYN for a dead host.
const ANSWER: Duration = Duration::from_millis(1_500);

/// How long a closing session may try to tell the server.
const TEARDOWN: Duration = Duration::from_millis(100);

/// The receive buffer asked of the kernel for RTP: some seconds of video.
const UDP_BUFFER_BYTES: i32 = 2_621_440;

/// An RTSP session with the streamer.
#[derive(Debug)]
pub(crate) struct Rtsp {
    source: gst::Element,
    jitter_buffers: JitterBuffers,
    feedback: Arc<Feedback>,
}

impl Rtsp {
    pub(super) fn new(
        transport: Transport,
        settings: &Settings,
        refuse: impl Fn(Ending) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let source = source(transport, settings)?;
        let (jitter_buffers, feedback) = (JitterBuffers::default(), Arc::default());
        find_manager(&source, &jitter_buffers, &feedback);
        let refuse = Arc::new(refuse);
        let told = Arc::clone(&refuse);
        tls::explain(&source, move |why| told(Ending::Lost(why)));
        choose_streams(&source, move |why| refuse(Ending::Unplayable(why)));
        Ok(Self {
            source,
            jitter_buffers,
            feedback,
        })
    }

    pub(super) fn element(&self) -> &gst::Element {
        &self.source
    }

    pub(super) fn link(&self, decoder: &gst::Bin) {
        link_video(&self.source, decoder, &self.feedback);
    }

    pub(super) fn feedback(&self) -> Arc<Feedback> {
        Arc::clone(&self.feedback)
    }

    pub(super) fn late_packets(&self) -> u64 {
        self.jitter_buffers.late_packets()
    }
}

/// What an event of the pipeline means for the session; none if it goes on.
pub(super) fn ending(event: BusEvent) -> Option<Ending> {
    use gst::{ResourceError, StreamError};

    match event {
        BusEvent::Failed(error) => Some(match error.kind {
            // How rtspsrc sums up an answer of 461 (RFC 2326 section 11.3.14) to every SETUP.
            Kind::Stream(StreamError::CodecNotFound) => Ending::Refused,
            // An answer of 401 (RFC 2326 section 11.1.3) to the last of several tries.
            Kind::Resource(ResourceError::NotAuthorized) => Ending::Denied,
            Kind::Resource(ResourceError::OpenReadWrite) => Ending::Unreachable(error.cause),
            _ => Ending::Lost(error.cause),
        }),
        BusEvent::Ended => Some(Ending::Lost("the streamer ended the stream".to_owned())),
        // The control connection is gone, and with it the session, whatever still arrives over UDP.
        BusEvent::Warned(warning) if warning.says(SERVER_CLOSED) => Some(Ending::Lost(
            "the streamer closed the connection".to_owned(),
        )),
        BusEvent::Warned(warning) => {
            tracing::debug!(%warning, "the pipeline goes on");
            None
        }
        _ => None,
    }
}

fn source(transport: Transport, settings: &Settings) -> Result<gst::Element, Error> {
    let source = media::element("rtspsrc")?;
    source.set_property("location", &settings.url);
    source.set_property_from_str("protocols", transport.as_str());
    if let Some(user) = &settings.user {
        source.set_property("user-id", &user.name);
        source.set_property("user-pw", user.password.expose());
    }
    source.set_property("latency", settings.latency_ms);
    source.set_property_from_str("buffer-mode", &settings.buffer_mode.to_string());
    source.set_property("do-retransmission", false);
    source.set_property("udp-buffer-size", UDP_BUFFER_BYTES);
    // When to give up, and which transport to try then, is the link's to say.
    source.set_property("timeout", 0_u64);
    source.set_property("udp-reconnect", false);
    source.set_property(
        "tcp-timeout",
        u64::try_from(ANSWER.as_micros()).unwrap_or(u64::MAX),
    );
    source.set_property(
        "teardown-timeout",
        u64::try_from(TEARDOWN.as_nanos()).unwrap_or(u64::MAX),
    );
    source.set_property(
        "user-agent",
        concat!("xr-client/", env!("CARGO_PKG_VERSION")),
    );
    Ok(source)
}

fn find_manager(source: &gst::Element, found: &JitterBuffers, feedback: &Arc<Feedback>) {
    let (found, feedback) = (found.clone(), Arc::clone(feedback));
    source.connect("new-manager", false, move |values| {
        let manager = values.get(1)?.get::<gst::Element>().ok()?;
        found.collect(&manager, &feedback);
        None
    });
}

/// Takes H.264 video, leaves sound and the like, and says so if no video can be played, or several can.
fn choose_streams(source: &gst::Element, refuse: impl Fn(String) + Send + Sync + 'static) {
    let refused = Arc::new(AtomicBool::default());
    let none = Arc::clone(&refused);
    source.connect("on-sdp", false, move |values| {
        let sdp = values.get(1)?.get::<gst_sdp::SDPMessage>().ok()?;
        let why = tracks::refusal(&tracks::videos(&sdp));
        refused.store(why.is_some(), Relaxed);
        if let Some(why) = why {
            refuse(why);
        }
        None
    });
    source.connect("select-stream", false, move |values| {
        let caps = values.get(2)?.get::<gst::Caps>().ok()?;
        let stream = caps.structure(0)?;
        let field = |name| stream.get::<String>(name).unwrap_or_default();
        let playable = field("media") == "video" && field("encoding-name") == "H264";
        Some((playable && !none.load(Relaxed)).to_value())
    });
}

fn link_video(source: &gst::Element, decoder: &gst::Bin, feedback: &Arc<Feedback>) {
    let (decoder, feedback) = (decoder.downgrade(), Arc::clone(feedback));
    source.connect_pad_added(move |source, pad| {
        let Some(sink) = decoder
            .upgrade()
            .and_then(|decoder| decoder.static_pad("sink"))
        else {
            return;
        };
        if sink.is_linked() {
            return;
        }
        match pad.link(&sink) {
            Ok(_) => feedback.plays(source, pad),
            Err(error) => tracing::error!(%error, "the stream does not fit the decoder"),
        }
    });
}
