//! One RTSP session: a pipeline from rtspsrc to the decoder, from its opening to its end. Nothing here waits for the
//! network in the caller's thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::Error;
use media::bus::BusEvent;
use media::decode::{self, Arrival, Observer, Picture};
use service::trace::TraceRing;
use timeline::{Point, RtpTimestamp};
use tokio::sync::mpsc;

use crate::feedback::Feedback;
use crate::link::Transport;
use crate::metrics::Metrics;
use crate::player::SharedPlayer;
use settings::BufferMode;

/// How long rtspsrc may wait for one answer of the server, and how long it takes a lost SYN for a dead host.
const ANSWER: Duration = Duration::from_millis(1_500);

/// How long a closing session may try to tell the server.
const TEARDOWN: Duration = Duration::from_millis(100);

/// The receive buffer asked of the kernel for RTP: some seconds of video.
const UDP_BUFFER_BYTES: i32 = 2_621_440;

/// What every session of a client has in common.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stream.
    pub url: String,
    /// Jitter buffer delay.
    pub latency_ms: u32,
    /// What the jitter buffer does to timestamps.
    pub buffer_mode: BufferMode,
    /// How to decode.
    pub decode: decode::Config,
}

/// A session tells its driver.
#[derive(Debug)]
pub enum Event {
    /// The session with this number ended, because of this.
    Over(u64, String),
    /// Why no session could be opened, in better words than the pipeline has.
    Cause(String),
    /// The session with this number ended, because the server does not send over its transport.
    Refused(u64),
    /// Its pipeline's latency changed.
    Latency(u64),
}

/// Signs of life, written by the streaming thread.
#[derive(Debug)]
pub struct Pulse {
    origin: Instant,
    packets: AtomicU64,
    last_us: AtomicU64,
}

impl Pulse {
    /// When the last packet came, on the driver's clock; none before the first.
    pub fn last(&self) -> Option<Duration> {
        match self.packets.load(Ordering::Acquire) {
            0 => None,
            _ => Some(Duration::from_micros(self.last_us.load(Ordering::Relaxed))),
        }
    }

    fn beat(&self) {
        let since = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_us.store(since, Ordering::Relaxed);
        self.packets.fetch_add(1, Ordering::Release);
    }
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    number: u64,
    pipeline: gst::Pipeline,
    pulse: Arc<Pulse>,
    closed: Arc<AtomicBool>,
    jitter_buffers: JitterBuffers,
    late_seen: u64,
}

type JitterBuffers = Arc<Mutex<Vec<gst::glib::WeakRef<gst::Element>>>>;

/// What a session needs of its surroundings.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where pictures go.
    pub player: SharedPlayer,
    /// Counters.
    pub metrics: Metrics,
    /// The ops port's trace.
    pub trace: TraceRing,
    /// The driver's ear.
    pub events: mpsc::Sender<Event>,
    /// The zero of the driver's clock.
    pub origin: Instant,
}

impl Session {
    /// Begins to open a session; how that goes comes as events.
    pub fn open(
        number: u64,
        transport: Transport,
        settings: &Settings,
        around: &Surroundings,
    ) -> Result<Self, Error> {
        let pulse = Arc::new(Pulse {
            origin: around.origin,
            packets: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
        });
        let closed = Arc::new(AtomicBool::new(false));
        let feedback = Arc::new(Feedback::default());
        let watcher = Watcher {
            player: around.player.clone(),
            metrics: around.metrics.clone(),
            trace: around.trace.clone(),
            pulse: Arc::clone(&pulse),
            closed: Arc::clone(&closed),
            feedback: Arc::clone(&feedback),
            last_sequence: None,
            told: None,
        };
        let decoder = decode::from_rtp(settings.decode, watcher)?;
        let source = source(transport, settings)?;
        let jitter_buffers = JitterBuffers::default();
        find_manager(&source, &jitter_buffers, &feedback);
        choose_streams(&source, number, &around.events);

        let pipeline = gst::Pipeline::new();
        pipeline.add(&source)?;
        pipeline.add(&decoder)?;
        link_video(&source, &decoder, &feedback);
        watch(&pipeline, number, &around.events);
        let session = Self {
            number,
            pipeline,
            pulse,
            closed,
            jitter_buffers,
            late_seen: 0,
        };
        match session.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(session),
            Err(error) => Err(Error::Start(error.to_string())),
        }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its signs of life.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Lets elements agree on a latency again.
    pub fn recalculate_latency(&self) {
        // Without an answer every element keeps what it has.
        let _ = self.pipeline.recalculate_latency();
    }

    /// Packets that the jitter buffer had given up before they came, since the last call.
    pub fn late_packets(&mut self) -> u64 {
        let buffers = self
            .jitter_buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let late = buffers
            .iter()
            .filter_map(gst::glib::WeakRef::upgrade)
            .filter_map(|buffer| {
                buffer
                    .property::<gst::Structure>("stats")
                    .get::<u64>("num-late")
                    .ok()
            })
            .sum::<u64>();
        let new = late.saturating_sub(self.late_seen);
        self.late_seen = late;
        new
    }

    /// Ends it. Telling the server and stopping the threads happens elsewhere; from now on no picture of it is played.
    pub fn close(self) -> Option<JoinHandle<()>> {
        self.closed.store(true, Ordering::Release);
        media::bus::unwatch(&self.pipeline);
        let pipeline = self.pipeline;
        std::thread::Builder::new()
            .name("teardown".to_owned())
            .spawn(move || {
                // A pipeline that does not stop is left behind; nothing else waits for it.
                let _ = pipeline.set_state(gst::State::Null);
            })
            .ok()
    }
}

fn source(transport: Transport, settings: &Settings) -> Result<gst::Element, Error> {
    let source = media::element("rtspsrc")?;
    source.set_property("location", &settings.url);
    source.set_property_from_str("protocols", transport.as_str());
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
    let (found, feedback) = (Arc::clone(found), Arc::clone(feedback));
    source.connect("new-manager", false, move |values| {
        let manager = values.get(1)?.get::<gst::Element>().ok()?;
        let told = Arc::clone(&feedback);
        manager.connect("element-added", false, move |values| {
            told.has_element(&values.get(1)?.get::<gst::Element>().ok()?);
            None
        });
        let found = Arc::clone(&found);
        manager.connect("new-jitterbuffer", false, move |values| {
            let buffer = values.get(1)?.get::<gst::Element>().ok()?;
            found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(buffer.downgrade());
            None
        });
        None
    });
}

/// Takes H.264 video, leaves sound and the like, and says so if there is a video that cannot be played.
fn choose_streams(source: &gst::Element, number: u64, events: &mpsc::Sender<Event>) {
    let events = events.clone();
    source.connect("select-stream", false, move |values| {
        let caps = values.get(2)?.get::<gst::Caps>().ok()?;
        let stream = caps.structure(0)?;
        let field = |name| stream.get::<String>(name).unwrap_or_default();
        let (media, encoding) = (field("media"), field("encoding-name"));
        let playable = media == "video" && encoding == "H264";
        if media == "video" && !playable {
            let why = format!("the stream is {encoding}, and this client decodes H264 only");
            // A full queue holds an end already.
            let _ = events.try_send(Event::Over(number, why));
        }
        Some(playable.to_value())
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

fn watch(pipeline: &gst::Pipeline, number: u64, events: &mpsc::Sender<Event>) {
    let events = events.clone();
    media::bus::watch(pipeline, move |event| {
        let event = match event {
            // How rtspsrc sums up an answer of 461 (RFC 2326 section 11.3.14) to every SETUP.
            BusEvent::Failed(error) if error.cause.contains("allow more transport protocols") => {
                Event::Refused(number)
            }
            BusEvent::Failed(error) => Event::Over(number, error.cause),
            BusEvent::Ended => Event::Over(number, "the streamer ended the stream".to_owned()),
            // The control connection is gone, and with it the session, whatever still arrives over UDP.
            BusEvent::Warned(warning) if warning.cause.contains("closed the connection") => {
                Event::Over(number, "the streamer closed the connection".to_owned())
            }
            BusEvent::Warned(warning) => {
                tracing::debug!(%warning, "the pipeline goes on");
                return;
            }
            BusEvent::LatencyChanged => Event::Latency(number),
            _ => return,
        };
        // A full queue holds an end already.
        let _ = events.try_send(event);
    });
}

/// The streaming thread's view of a session.
struct Watcher {
    player: SharedPlayer,
    metrics: Metrics,
    trace: TraceRing,
    pulse: Arc<Pulse>,
    closed: Arc<AtomicBool>,
    feedback: Arc<Feedback>,
    last_sequence: Option<u16>,
    /// The frame of the last loss that the sender was told of.
    told: Option<RtpTimestamp>,
}

impl Observer for Watcher {
    fn packet(&mut self, arrival: Arrival) {
        self.pulse.beat();
        self.metrics.packets_received.inc();
        let last = self.last_sequence.replace(arrival.sequence);
        if let Some(last) = last {
            // The jitter buffer has put them in order: a step back is a sender that began anew.
            let step = arrival.sequence.wrapping_sub(last);
            if (2..0x8000).contains(&step) {
                self.metrics.packets_lost.inc_by(u64::from(step) - 1);
                // Once a frame is enough, and what comes of it is the streamer's to limit.
                if self.told.replace(arrival.rtp_timestamp) != Some(arrival.rtp_timestamp)
                    && self.feedback.picture_lost()
                {
                    self.metrics.picture_losses_told.inc();
                }
            }
        }
        if arrival.marker {
            self.trace
                .push(arrival.rtp_timestamp, Point::Received, arrival.at);
        }
    }

    fn picture(&mut self, picture: &Picture<'_>) {
        if !self.closed.load(Ordering::Acquire) {
            self.player.lock().picture(picture);
        }
    }
}
