//! RTP over QUIC: packets of a connection through rtpbin, as those of an RTSP session go, and its RTCP back on the flow for
//! that.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use media::Error;
use roq::Connection;
use roq::connect::{Reports, Stream, Target};
use roq::counters::Received;
use roq::framing::FlowId;
use roq::receive::{Flows, Packet, receive};
use roq::signal::{Mode, Playing};
use settings::Transport;
use tokio::task::JoinHandle;

use super::contract::{Ending, QuicSettings, Settings};
use super::feedback::Feedback;
use super::jitter::JitterBuffers;

/// Packets that wait for the streaming thread: some seconds of video.
const PACKETS_MAX: u64 = 4096;

/// How long the jitter buffer waits at least where each frame comes on a stream of its own: a lost packet is sent again, and
/// overtaken meanwhile by frames that came whole. Packets that come in order wait for nothing.
const STREAMS_LATENCY_MS: u32 = 250;

/// How long a silent server has to show that it is there: its answers to some of quinn's keep-alives.
const LIFE: Duration = roq::transport::KEEP_ALIVE.saturating_mul(2);

/// A feed that comes over QUIC.
#[derive(Debug)]
pub(crate) struct Quic {
    bin: gst::Bin,
    manager: gst::Element,
    jitter_buffers: JitterBuffers,
    feedback: Arc<Feedback>,
    connection: Arc<OnceLock<Connection>>,
    task: JoinHandle<()>,
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Quic {
    /// Begins to connect. `ended` is told why there is no stream, or none any more.
    pub(super) fn new(
        transport: Transport,
        settings: &Settings,
        quic: &QuicSettings,
        ended: impl Fn(Ending) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let mode = if transport == Transport::QuicStream {
            Mode::Stream
        } else {
            Mode::Datagram
        };
        let (jitter_buffers, feedback) = (JitterBuffers::default(), Arc::<Feedback>::default());
        let source = source()?;
        let manager = manager(mode, settings, &jitter_buffers, &feedback)?;
        let (reports, connection) = (Arc::<OnceLock<Reports>>::default(), Arc::default());
        let sink = report_sink(&reports)?;
        let bin = gst::Bin::new();
        bin.add_many([source.upcast_ref(), &manager, sink.upcast_ref()])?;
        source.link_pads(Some("src"), &manager, Some("recv_rtp_sink_0"))?;
        manager.link_pads(Some("send_rtcp_src_0"), &sink, Some("sink"))?;
        let target = Target {
            by: mode,
            ..quic.target.clone()
        };
        let session = Session {
            trust: quic.trust.clone(),
            key_log: quic.key_log,
            target,
            source,
            reports,
            connection: Arc::clone(&connection),
            counters: quic.received.clone(),
        };
        let task = tokio::spawn(async move { ended(session.run().await) });
        Ok(Self {
            bin,
            manager,
            jitter_buffers,
            feedback,
            connection,
            task,
        })
    }

    pub(super) fn element(&self) -> &gst::Element {
        self.bin.upcast_ref()
    }

    pub(super) fn link(&self, decoder: &gst::Bin) {
        let (bin, decoder) = (self.bin.downgrade(), decoder.downgrade());
        let feedback = Arc::clone(&self.feedback);
        self.manager.connect_pad_added(move |_, pad| {
            let Some((bin, decoder)) = bin.upgrade().zip(decoder.upgrade()) else {
                return;
            };
            if let Err(error) = link_video(&bin, pad, &decoder, &feedback) {
                tracing::error!(%error, "the stream does not fit the decoder");
            }
        });
    }

    pub(super) fn feedback(&self) -> Arc<Feedback> {
        Arc::clone(&self.feedback)
    }

    pub(super) fn late_packets(&self) -> u64 {
        self.jitter_buffers.late_packets()
    }

    /// Whether the server still answers; true as well while it is being connected to, which ends by itself.
    pub(super) fn alive(&self) -> impl Future<Output = bool> + Send + 'static {
        let connection = self.connection.get().cloned();
        async move {
            let Some(connection) = connection else {
                return true;
            };
            let heard = || connection.stats().udp_rx.datagrams;
            let before = heard();
            tokio::time::sleep(LIFE).await;
            connection.close_reason().is_none() && heard() > before
        }
    }
}

/// What the task of a session needs.
struct Session {
    trust: roq::trust::Trust,
    key_log: bool,
    target: Target,
    source: gst_app::AppSrc,
    reports: Arc<OnceLock<Reports>>,
    connection: Arc<OnceLock<Connection>>,
    counters: Received,
}

impl Session {
    /// Connects and receives; returns how that ended.
    async fn run(self) -> Ending {
        let stream = match roq::connect::play(&self.target, &self.trust, self.key_log).await {
            Ok(stream) => stream,
            Err(error) => return Ending::Lost(error.to_string()),
        };
        match self.receive(&stream).await {
            Ok(why) => Ending::Lost(why),
            Err(ending) => ending,
        }
    }

    async fn receive(&self, stream: &Stream) -> Result<String, Ending> {
        let playing = stream.playing();
        if playing.encoding != "H264" {
            return Err(Ending::Unplayable(format!(
                "the stream is {}, and this client decodes H264 only: have the server send H264",
                playing.encoding
            )));
        }
        let flow = |number: u64| {
            let impossible = || Ending::Lost("the server names a flow that cannot be".to_owned());
            FlowId::new(number).ok_or_else(impossible)
        };
        let flows = Flows {
            rtp: Some(flow(playing.rtp_flow)?),
            rtcp: flow(playing.rtcp_flow)?,
        };
        self.source.set_caps(Some(&caps(playing)));
        // A new session's are not set yet.
        let _ = self.reports.set(stream.reports());
        let _ = self.connection.set(stream.connection().clone());
        let ended = receive(stream.connection(), flows, &self.counters, |packet| {
            if let Packet::Rtp(packet) = packet {
                // It refuses when it is being stopped.
                let _ = self.source.push_buffer(gst::Buffer::from_slice(packet));
            }
        });
        Ok(roq::listen::explain(&ended.await))
    }
}

/// The RTP caps of a stream, as rtspsrc makes them of SDP.
fn caps(playing: &Playing) -> gst::Caps {
    let caps = gst::Caps::builder("application/x-rtp")
        .field("media", "video")
        .field(
            "clock-rate",
            i32::try_from(playing.clock_rate).unwrap_or(90_000),
        )
        .field("encoding-name", playing.encoding.as_str())
        .field("payload", i32::from(playing.payload_type))
        .field("packetization-mode", "1")
        .field(
            "sprop-parameter-sets",
            playing.sprop_parameter_sets.as_str(),
        )
        .field("rtcp-fb-nack-pli", true)
        .field("ssrc", playing.ssrc);
    match &playing.profile_level_id {
        Some(level) => caps.field("profile-level-id", level.as_str()).build(),
        None => caps.build(),
    }
}

fn source() -> Result<gst_app::AppSrc, Error> {
    let source = media::element("appsrc")?;
    source.set_property("is-live", true);
    source.set_property_from_str("format", "time");
    source.set_property("do-timestamp", true);
    source.set_property("max-bytes", 0_u64);
    source.set_property("max-buffers", PACKETS_MAX);
    source.set_property_from_str("leaky-type", "downstream");
    Ok(source.downcast().expect("an appsrc"))
}

fn manager(
    mode: Mode,
    settings: &Settings,
    found: &JitterBuffers,
    feedback: &Arc<Feedback>,
) -> Result<gst::Element, Error> {
    let manager = media::element("rtpbin")?;
    let least = if mode == Mode::Stream {
        STREAMS_LATENCY_MS
    } else {
        0
    };
    manager.set_property("latency", settings.latency_ms.max(least));
    manager.set_property_from_str("buffer-mode", &settings.buffer_mode.to_string());
    manager.set_property("do-retransmission", false);
    found.collect(&manager, feedback);
    manager.connect("new-jitterbuffer", false, |values| {
        let buffer = values.get(1)?.get::<gst::Element>().ok()?;
        // The first packet is the first of a frame: nothing before it is to be waited for.
        buffer.set_property("faststart-min-packets", 1_u32);
        None
    });
    Ok(manager)
}

fn report_sink(reports: &Arc<OnceLock<Reports>>) -> Result<gst::Element, Error> {
    let element = media::element("appsink")?;
    element.set_property("sync", false);
    element.set_property("async", false);
    element.set_property("max-buffers", 16_u32);
    element.set_property("drop", true);
    let reports = Arc::clone(reports);
    let send = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let packet = sample
            .buffer()
            .and_then(|buffer| buffer.map_readable().ok());
        if let (Some(packet), Some(reports)) = (packet, reports.get()) {
            reports.send(&packet);
        }
        Ok(gst::FlowSuccess::Ok)
    };
    let sink = element
        .downcast_ref::<gst_app::AppSink>()
        .expect("an appsink");
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(send)
            .build(),
    );
    Ok(element)
}

/// Links what rtpbin gives out with `decoder`, beside which `bin` lies.
fn link_video(
    bin: &gst::Bin,
    pad: &gst::Pad,
    decoder: &gst::Bin,
    feedback: &Feedback,
) -> anyhow::Result<()> {
    let is_stream = pad.name().starts_with("recv_rtp_src_");
    let sink = decoder
        .static_pad("sink")
        .filter(|sink| is_stream && !sink.is_linked());
    let Some(sink) = sink else { return Ok(()) };
    let out = gst::GhostPad::with_target(pad)?;
    out.set_active(true)?;
    bin.add_pad(&out)?;
    out.link(&sink)?;
    feedback.plays(bin.upcast_ref(), out.upcast_ref());
    Ok(())
}
