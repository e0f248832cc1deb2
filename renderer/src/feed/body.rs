//! The feed's body: frames from the encoder's thread to the connection, with the outbox between.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use media::packets::EncodedFrame;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::outbox::{self, Outbox};
use crate::metrics::{Metrics, Reason};

impl outbox::Frame for EncodedFrame {
    fn is_key(&self) -> bool {
        self.key_frame
    }
}

/// Where the encoder puts frames, whether or not a connection takes them. Clones share it.
#[derive(Clone, Debug)]
pub struct Mailbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox<EncodedFrame>,
    /// Counts connections: the body of an earlier one takes nothing any more.
    connection: u64,
    ended: bool,
    reader: Option<Waker>,
    /// When the connection last took a frame, or when a frame began to wait for it.
    moved: Instant,
}

impl Mailbox {
    /// One without a connection.
    pub fn new(metrics: Metrics) -> Self {
        let state = State {
            outbox: Outbox::new(),
            connection: 0,
            ended: false,
            reader: None,
            moved: Instant::now(),
        };
        Self(Arc::new(Shared {
            metrics,
            state: Mutex::new(state),
        }))
    }

    /// Takes a frame from the encoder's thread. True if a key frame must be asked for.
    pub fn put(&self, frame: EncodedFrame) -> bool {
        let mut state = self.0.state.lock();
        if state.outbox.is_empty() {
            state.moved = Instant::now();
        }
        let pushed = state.outbox.push(frame);
        let reader = state.reader.take();
        drop(state);
        if let Some((reason, frames)) = pushed.dropped {
            self.0.metrics.dropped(reason, frames);
        }
        if let Some(reader) = reader {
            reader.wake();
        }
        pushed.ask
    }

    /// The body of a new connection. Its first frame is a key frame, which the caller asks for.
    pub fn open(&self) -> FeedBody {
        let mut state = self.0.state.lock();
        state.connection += 1;
        state.outbox.open();
        state.moved = Instant::now();
        FeedBody {
            mailbox: self.clone(),
            connection: state.connection,
        }
    }

    /// No more frames come: the body ends after those that wait.
    pub fn finish(&self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Since when frames wait and the connection takes none.
    pub fn stuck_since(&self) -> Option<Instant> {
        let state = self.0.state.lock();
        (!state.outbox.is_empty()).then_some(state.moved)
    }
}

/// The body of one connection. Dropping it closes the outbox.
#[derive(Debug)]
pub struct FeedBody {
    mailbox: Mailbox,
    connection: u64,
}

impl FeedBody {
    /// The next frame; none once the feed has ended.
    pub(super) async fn next(&mut self) -> Option<EncodedFrame> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<EncodedFrame>> {
        let mut state = self.mailbox.0.state.lock();
        if let Some(frame) = state.outbox.pop() {
            state.moved = Instant::now();
            drop(state);
            self.mailbox.0.metrics.sent(frame.body.len());
            return Poll::Ready(Some(frame));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Body for FeedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.poll_next(context);
        next.map(|frame| frame.map(|frame| Ok(Frame::data(frame.body))))
    }
}

impl Drop for FeedBody {
    fn drop(&mut self) {
        let mut state = self.mailbox.0.state.lock();
        if state.connection != self.connection {
            return;
        }
        let lost = state.outbox.close();
        drop(state);
        if lost > 0 {
            self.mailbox.0.metrics.dropped(Reason::Disconnected, lost);
        }
    }
}

/// The body of either request: a feed's, or none.
pub(super) type RequestBody = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// A body without bytes.
pub(super) fn empty() -> RequestBody {
    http_body_util::Empty::new().boxed()
}
