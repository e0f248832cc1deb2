//! Where a session's packets come from: an element that gives RTP, how losses are reported to the sender, and what the
//! end of the stream means. The decoder behind it knows nothing of transports.

mod contract;
mod feedback;
mod jitter;
pub mod probe;
mod quic;
mod rtsp;
pub mod tls;
mod tracks;

use std::pin::Pin;
use std::sync::Arc;

use gstreamer as gst;
use media::Error;
use media::bus::BusEvent;
use settings::Transport;

pub use contract::{Ending, QuicSettings, Settings};
pub(crate) use feedback::Feedback;

/// The incoming stream of one session.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// An RTSP session with RTP over UDP, or interleaved.
    Rtsp(rtsp::Rtsp),
    /// A stream that comes as RTP over QUIC.
    Quic(quic::Quic),
}

impl Incoming {
    /// Makes the element that will receive the stream. `refuse` is told of a stream that cannot be played.
    pub(crate) fn new(
        transport: Transport,
        settings: &Settings,
        refuse: impl Fn(Ending) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        match transport {
            Transport::Udp | Transport::Tcp => {
                rtsp::Rtsp::new(transport, settings, refuse).map(Self::Rtsp)
            }
            Transport::QuicDatagram | Transport::QuicStream => {
                let quic = settings.quic.as_ref().ok_or_else(|| {
                    Error::Start("a stream over QUIC, and its server is not known".to_owned())
                })?;
                quic::Quic::new(transport, settings, quic, refuse).map(Self::Quic)
            }
        }
    }

    /// The element, to be added to the session's pipeline.
    pub(crate) fn element(&self) -> &gst::Element {
        match self {
            Self::Rtsp(rtsp) => rtsp.element(),
            Self::Quic(quic) => quic.element(),
        }
    }

    /// Links the video into the sink of `decoder` as soon as it is there.
    pub(crate) fn link(&self, decoder: &gst::Bin) {
        match self {
            Self::Rtsp(rtsp) => rtsp.link(decoder),
            Self::Quic(quic) => quic.link(decoder),
        }
    }

    /// The way to tell the sender of a loss.
    pub(crate) fn feedback(&self) -> Arc<Feedback> {
        match self {
            Self::Rtsp(rtsp) => rtsp.feedback(),
            Self::Quic(quic) => quic.feedback(),
        }
    }

    /// Whether the server still lives, however silent the stream is.
    pub(crate) fn alive(&self, uri: http::Uri) -> Pin<Box<dyn Future<Output = bool> + Send>> {
        match self {
            Self::Rtsp(_) => Box::pin(async move { probe::alive(&uri).await }),
            Self::Quic(quic) => Box::pin(quic.alive()),
        }
    }

    /// Packets given up before they came, since the beginning.
    pub(crate) fn late_packets(&self) -> u64 {
        match self {
            Self::Rtsp(rtsp) => rtsp.late_packets(),
            Self::Quic(quic) => quic.late_packets(),
        }
    }
}

/// What an event of the pipeline means for a stream over `transport`; none if the stream goes on.
pub(crate) fn ending(transport: Transport, event: BusEvent) -> Option<Ending> {
    match transport {
        Transport::Udp
        | Transport::Tcp
        // The connection's own end is told by its task.
        | Transport::QuicDatagram
        | Transport::QuicStream => rtsp::ending(event),
    }
}
