//! One session: a pipeline from its incoming stream to the decoder, from its opening to its end. Nothing here waits for the
//! network in the caller's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use media::Error;
use media::bus::BusEvent;
use media::decode::{self, Arrival, Observer, Picture};
use service::trace::TraceRing;
use settings::Transport;
use timeline::{Point, RtpTimestamp};
use tokio::sync::mpsc;

use crate::incoming::{self, Ending, Feedback, Incoming};
use crate::metrics::Metrics;
use crate::player::SharedPlayer;

/// What every session of a client has in common.
#[derive(Clone, Debug)]
pub struct Settings {
    pub incoming: incoming::Settings,
    pub decode: decode::Config,
}

/// A session tells its driver.
#[derive(Debug)]
pub enum Event {
    /// The session with this number ended, because of this.
    Over(u64, Ending),
    /// The reason why no session could be opened, in better words than the pipeline has.
    Cause(String),
    /// The latency of the pipeline changed.
    Latency(u64),
}

/// When packets came, written by the streaming thread.
#[derive(Debug)]
pub struct Activity {
    origin: Instant,
    packets: AtomicU64,
    last_us: AtomicU64,
}

impl Activity {
    /// When the last packet came, on the driver's clock; none before the first.
    pub fn last(&self) -> Option<Duration> {
        match self.packets.load(Ordering::Acquire) {
            0 => None,
            _ => Some(Duration::from_micros(self.last_us.load(Ordering::Relaxed))),
        }
    }

    fn note_packet(&self) {
        let since = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_us.store(since, Ordering::Relaxed);
        self.packets.fetch_add(1, Ordering::Release);
    }
}

/// An open session with its pipeline.
#[derive(Debug)]
pub struct Session {
    number: u64,
    pipeline: gst::Pipeline,
    incoming: Incoming,
    activity: Arc<Activity>,
    closed: Arc<AtomicBool>,
    late_seen: u64,
}

/// What a session shares with the rest of the client.
#[derive(Clone, Debug)]
pub struct SessionContext {
    pub player: SharedPlayer,
    pub metrics: Metrics,
    /// The ops port's trace.
    pub trace: TraceRing,
    /// The channel to the driver.
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
        context: &SessionContext,
    ) -> Result<Self, Error> {
        let activity = Arc::new(Activity {
            origin: context.origin,
            packets: AtomicU64::new(0),
            last_us: AtomicU64::new(0),
        });
        let closed = Arc::new(AtomicBool::new(false));
        let events = context.events.clone();
        let incoming = Incoming::new(transport, &settings.incoming, move |ending| {
            // A full queue holds an end already.
            let _ = events.try_send(Event::Over(number, ending));
        })?;
        let watcher = Watcher {
            player: context.player.clone(),
            metrics: context.metrics.clone(),
            trace: context.trace.clone(),
            activity: Arc::clone(&activity),
            closed: Arc::clone(&closed),
            feedback: incoming.feedback(),
            last_sequence: None,
            told: None,
        };
        let decoder = decode::from_rtp(settings.decode, watcher)?;
        let pipeline = gst::Pipeline::new();
        pipeline.add(incoming.element())?;
        pipeline.add(&decoder)?;
        incoming.link(&decoder);
        watch(&pipeline, number, transport, &context.events);
        let session = Self {
            number,
            pipeline,
            incoming,
            activity,
            closed,
            late_seen: 0,
        };
        match session.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(session),
            Err(error) => Err(Error::Start(error.to_string())),
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// When its packets came.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Whether the server still lives.
    pub fn alive(&self, uri: http::Uri) -> impl Future<Output = bool> + Send + 'static {
        self.incoming.alive(uri)
    }

    /// Lets elements agree on a latency again.
    pub fn recalculate_latency(&self) {
        // Without an answer every element keeps what it has.
        let _ = self.pipeline.recalculate_latency();
    }

    /// Packets that were given up before they came, since the last call.
    pub fn late_packets(&mut self) -> u64 {
        let late = self.incoming.late_packets();
        let new = late.saturating_sub(self.late_seen);
        self.late_seen = late;
        new
    }

    /// Ends the session. Telling the server and stopping the threads happens elsewhere; from now on no picture of it is
    /// played.
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

fn watch(
    pipeline: &gst::Pipeline,
    number: u64,
    transport: Transport,
    events: &mpsc::Sender<Event>,
) {
    let events = events.clone();
    media::bus::watch(pipeline, move |event| {
        let event = if event == BusEvent::LatencyChanged {
            Some(Event::Latency(number))
        } else {
            incoming::ending(transport, event).map(|ending| Event::Over(number, ending))
        };
        if let Some(event) = event {
            // A full queue holds an end already.
            let _ = events.try_send(event);
        }
    });
}

/// The streaming thread's view of a session.
struct Watcher {
    player: SharedPlayer,
    metrics: Metrics,
    trace: TraceRing,
    activity: Arc<Activity>,
    closed: Arc<AtomicBool>,
    feedback: Arc<Feedback>,
    last_sequence: Option<u16>,
    /// The frame of the last loss that the sender was told of.
    told: Option<RtpTimestamp>,
}

impl Observer for Watcher {
    fn packet(&mut self, arrival: Arrival) {
        self.activity.note_packet();
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

    fn dropped(&mut self, ask: bool) {
        if self.metrics.behind() == 0 {
            tracing::warn!(
                "frames stand before the decoder more than three intervals late: this machine is too slow for the stream, the client was \
                 stopped, or key frames take long over a narrow network. They are not decoded, up to the next key frame, and counted; take \
                 a smaller size, rate or bit rate, or more --decoder-threads"
            );
        }
        self.metrics.frame_behind();
        if ask && self.feedback.picture_lost() {
            self.metrics.picture_losses_told.inc();
        }
    }

    fn picture(&mut self, picture: &Picture<'_>) {
        if !self.closed.load(Ordering::Acquire) {
            self.player.lock().picture(picture);
        }
    }
}
