//! A request's body, piece by piece, with everything that can end it.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use service::Shutdown;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;
use crate::feed::Superseded;
use crate::feed::name::FeedName;

/// A feed that sends nothing for so long is ended, and one whose bytes hold no packet. It has lost its name to whoever wants it long before.
const SILENCE: Duration = Duration::from_secs(10);

/// How much, and how long, a refused sender may go on before its connection is cut: closing at once would take the
/// answer away from it.
const LINGER: Duration = Duration::from_secs(2);

/// The body of one feed.
#[derive(Debug)]
pub struct Pieces {
    body: Body,
    name: FeedName,
    ended: CancellationToken,
    shutdown: Shutdown,
    pushed_back: Option<Bytes>,
    /// When it last brought a packet.
    heard: Instant,
}

impl Pieces {
    /// The pieces of `body`, until `shutdown` fires.
    pub fn new(body: Body, name: FeedName, shutdown: Shutdown) -> Self {
        Self {
            body,
            name,
            ended: CancellationToken::new(),
            shutdown,
            pushed_back: None,
            heard: Instant::now(),
        }
    }

    /// What came last held a packet, so that the feed may be silent for a while again.
    pub fn held_packets(&mut self) {
        self.heard = Instant::now();
    }

    /// From now on they end with `ended` too, when another feed takes the name.
    pub fn end_with(&mut self, ended: CancellationToken) {
        self.ended = ended;
    }

    /// Reads the next piece of the body; none at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        if let Some(piece) = self.pushed_back.take() {
            return Ok(Some(piece));
        }
        loop {
            let frame = tokio::select! {
                biased;
                () = self.ended.cancelled() => return Err(Refusal::Superseded(self.name.clone(), Superseded)),
                () = self.shutdown.fired() => return Err(Refusal::Stopping),
                frame = tokio::time::timeout_at(self.heard + SILENCE, self.body.frame()) => frame,
            };
            match frame {
                Err(_) => return Err(Refusal::Silent(SILENCE.as_secs())),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Refusal::Broken(error.to_string())),
                // Trailers say nothing.
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(piece) if !piece.is_empty() => return Ok(Some(piece)),
                    _ => {}
                },
            }
        }
    }

    /// At least `count` bytes from the beginning, or all there are; they come again with [`Pieces::next`].
    pub async fn peek(&mut self, count: usize) -> Result<Bytes, Refusal> {
        let mut start = bytes::BytesMut::new();
        let come = async {
            while start.len() < count {
                let Some(piece) = self.next().await? else {
                    break;
                };
                start.extend_from_slice(&piece);
            }
            Ok(())
        };
        let come = tokio::time::timeout(SILENCE, come).await;
        come.unwrap_or(Err(Refusal::Silent(SILENCE.as_secs())))?;
        let start = start.freeze();
        if !start.is_empty() {
            self.pushed_back = Some(start.clone());
        }
        Ok(start)
    }

    /// Reads on for a moment after a refusal, so that the sender can read the answer; see [`linger`].
    pub fn linger(self) {
        linger(self.body);
    }
}

/// Reads on for a while and throws it away, so that a refused sender sees its answer.
pub fn linger(mut body: Body) {
    tokio::spawn(tokio::time::timeout(LINGER, async move {
        while let Some(Ok(_)) = body.frame().await {}
    }));
}
