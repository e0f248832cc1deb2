//! Frames to one receiver, a viewer or a streamer: as datagrams or on a stream each, at once where the path lets them, and let go where they would
//! come too late.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quinn::{Connection, SendDatagramError, SendStream};
use tokio::sync::Notify;

use crate::backlog::{Backlog, Waiting};
use crate::codes::Code;
use crate::counters::Sent;
use crate::frame::Frame;
use crate::framing::{self, FlowId};
use crate::signal::Mode;

/// Frames on streams that are watched for their arrival. More cannot be open at the receiver.
const STREAMS_MAX: usize = 256;

/// Sends one viewer its frames.
#[derive(Debug)]
pub struct Sender {
    connection: Connection,
    mode: Mode,
    patience: Duration,
    backlog: Mutex<Backlog>,
    wake: Notify,
    /// No more frames come.
    finished: AtomicBool,
    counters: Sent,
}

impl Sender {
    /// Sends over `connection`. What has waited for longer than `patience` is let go.
    pub fn new(connection: Connection, mode: Mode, patience: Duration, counters: Sent) -> Self {
        Self {
            connection,
            mode,
            patience,
            backlog: Mutex::new(Backlog::new(patience)),
            wake: Notify::new(),
            finished: AtomicBool::new(false),
            counters,
        }
    }

    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends `frame`, or lets it wait; waits for nothing itself. True if the viewer needs a key frame.
    pub fn push(&self, frame: &Arc<Frame>, now: Instant) -> bool {
        let mut backlog = self.backlog.lock();
        let verdict = backlog.offer(Arc::clone(frame), now);
        self.counters.dropped.inc_by(verdict.dropped as u64);
        if backlog.is_alone() && self.has_room(frame) {
            let Some(waiting) = backlog.next() else {
                return verdict.ask;
            };
            for datagram in frame.datagrams() {
                // The connection's end is told to whoever runs it; the path's datagrams may have become smaller just now.
                let _ = self.connection.send_datagram(datagram.clone());
            }
            backlog.sent(&waiting);
            self.counters.frames.inc();
        } else {
            self.wake.notify_one();
        }
        verdict.ask
    }

    /// No more frames come: [`Sender::run`] ends once those that were sent have arrived.
    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether all datagrams of `frame` can be handed over without pushing out others.
    fn has_room(&self, frame: &Frame) -> bool {
        self.mode == Mode::Datagram
            && self.fits(frame)
            && self.connection.datagram_send_buffer_space() >= frame.buffered_bytes()
    }

    fn fits(&self, frame: &Frame) -> bool {
        let largest = self.connection.max_datagram_size();
        largest.is_some_and(|largest| frame.largest() <= largest)
    }

    /// Sends what waits, until the connection ends or the last frame has arrived. `ask` is called when a key frame is needed.
    pub async fn run(&self, ask: impl Fn()) {
        let mut streams = Streams::default();
        while self.connection.close_reason().is_none() {
            let next = self.backlog.lock().next();
            let Some(waiting) = next else {
                if self.finished.load(Ordering::Acquire) {
                    return self.flush(streams).await;
                }
                tokio::select! {
                    () = self.wake.notified() => continue,
                    _ = self.connection.closed() => return,
                }
            };
            let sent = if self.mode == Mode::Datagram && self.fits(&waiting.frame) {
                self.send_datagrams(&waiting).await
            } else {
                self.send_stream(&waiting, &mut streams).await
            };
            if sent {
                self.counters.frames.inc();
            }
            self.backlog.lock().sent(&waiting);
            let limit = self.patience + 3 * self.connection.rtt();
            let cancelled = streams.cancel_stale(limit, Instant::now());
            if cancelled > 0 {
                self.counters.cancelled.inc_by(cancelled);
                let verdict = self.backlog.lock().cut();
                self.counters.dropped.inc_by(verdict.dropped as u64);
                ask();
            }
        }
    }

    /// Waits until what was sent has arrived, as far as it is sent again where it is lost.
    async fn flush(&self, mut streams: Streams) {
        // A stream of no packet: quinn sends datagrams before it.
        if let Ok(mut last) = self.connection.open_uni().await {
            let empty = framing::stream(FlowId::RTP, std::iter::empty());
            // The connection's end is told to whoever runs it.
            let _ = last.write_chunk(empty).await;
            let _ = last.finish();
            streams.watch(last, Instant::now());
        }
        streams.have_arrived().await;
    }

    /// False where the frame was let go, or the connection has ended.
    async fn send_datagrams(&self, waiting: &Waiting) -> bool {
        for datagram in waiting.frame.datagrams() {
            match self.connection.send_datagram_wait(datagram.clone()).await {
                // The path's datagrams have become smaller in the middle of a frame: that packet is lost.
                Ok(()) | Err(SendDatagramError::TooLarge) => {}
                Err(_) => return false,
            }
            if self.backlog.lock().is_cut(waiting) {
                return false;
            }
        }
        true
    }

    /// False where the frame was let go, or the connection has ended.
    async fn send_stream(&self, waiting: &Waiting, streams: &mut Streams) -> bool {
        if self.mode == Mode::Datagram {
            self.counters.oversized.inc();
            tracing::debug!(
                largest = waiting.frame.largest(),
                path = self.connection.max_datagram_size(),
                "a frame goes on a stream, because a packet of it fits no datagram"
            );
        }
        let Ok(mut stream) = self.connection.open_uni().await else {
            return false;
        };
        if self.backlog.lock().is_cut(waiting) {
            let _ = stream.reset(Code::FrameCancelled.into());
            return false;
        }
        let written = stream.write_chunk(waiting.frame.stream().clone()).await;
        if written.is_err() || self.backlog.lock().is_cut(waiting) {
            // A stream that the viewer has stopped is closed already.
            let _ = stream.reset(Code::FrameCancelled.into());
            return false;
        }
        let _ = stream.finish();
        streams.watch(stream, waiting.since);
        true
    }
}

/// Frames on streams whose arrival is not known yet, oldest first.
#[derive(Default)]
struct Streams(VecDeque<UnderWay>);

struct UnderWay {
    stream: SendStream,
    arrived: Pin<Box<dyn Future<Output = ()> + Send>>,
    since: Instant,
}

impl Streams {
    fn watch(&mut self, stream: SendStream, since: Instant) {
        let stopped = stream.stopped();
        let arrived = Box::pin(async move {
            let _ = stopped.await;
        });
        self.0.push_back(UnderWay {
            stream,
            arrived,
            since,
        });
        if self.0.len() > STREAMS_MAX {
            self.0.pop_front();
        }
    }

    async fn have_arrived(self) {
        for frame in self.0 {
            frame.arrived.await;
        }
    }

    /// Cancels frames that have been under way for longer than `limit`; returns how many.
    fn cancel_stale(&mut self, limit: Duration, now: Instant) -> u64 {
        // Looked at after each frame, so nobody needs to be woken.
        let mut context = Context::from_waker(Waker::noop());
        let mut cancelled = 0;
        self.0.retain_mut(|frame| {
            if let Poll::Ready(()) = frame.arrived.as_mut().poll(&mut context) {
                return false;
            }
            let stale = now.saturating_duration_since(frame.since) > limit;
            if stale && frame.stream.reset(Code::FrameCancelled.into()).is_ok() {
                cancelled += 1;
            }
            !stale
        });
        cancelled
    }
}
