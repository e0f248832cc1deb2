//! The feed: one HTTP request whose body is the video, one connection over QUIC, or one RTSP session that records it, kept up
//! for as long as the renderer runs.
//!
//! ```text
//! encoder's thread -> Mailbox (at most two frames) -> body of PUT /feeds/NAME -> streamer
//!        ^ key frame asked for                        GET /feeds/NAME/events <-+
//!                                                   or roq://HOST:PORT/NAME, frame by frame, and words back
//!                                                   or RECORD rtsp://... -> another server, RTCP back
//! ```
//!
//! This module owns every retry of the feed: a connection that cannot be made or is lost is made again, with a capped
//! and jittered wait, and goes on with a key frame.

mod body;
mod connection;
mod events;
mod outbox;
mod quic;
mod record;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use media::packets::ParameterSets;
use rustls::ClientConfig;
use service::backoff::Backoff;
use service::http::Problem;
use service::{Readiness, Shutdown};
use settings::{FeedMethod, FeedUrl};
use tokio::time::Instant;

pub use body::Mailbox;
pub use events::Events;
pub use quic::Means;

use crate::metrics::{Asker, Metrics, Outcome};
use connection::Connection;
pub use connection::Sender;
use events::Heard;

/// Waits between tries, so that a streamer that starts again has its feed back well within two seconds.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_secs(1);
/// How long to wait after a refusal that may pass: the name is taken, or the streamer is full.
const REFUSED_RETRY: Duration = Duration::from_secs(1);
/// A connection that lasted so long was a good one: its end is not a refusal of the feed's form, and waits begin anew.
const GOOD: Duration = Duration::from_secs(2);
/// A connection that takes no frame for so long while frames wait is given up.
const STUCK: Duration = Duration::from_secs(5);
/// How long the streamer may take to confirm the end of a feed.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What keeps a feed up.
pub struct Feed {
    /// The feed's URL.
    pub url: FeedUrl,
    /// Whom to believe, and how to send, where the URL is one of QUIC.
    pub means: Option<Means>,
    /// How the streamer is reached over TLS; none where the URL asks for none.
    pub tls: Option<Arc<ClientConfig>>,
    /// Proves that the feed's name is ours.
    pub sender: Sender,
    /// Where its frames come from.
    pub mailbox: Mailbox,
    /// The video's parameter sets, once known.
    pub sets: ParameterSets,
    pub metrics: Metrics,
    /// What `/ready` says: no feed is ready that arrives nowhere.
    pub ready: Readiness,
    /// Asks the encoder for a key frame.
    pub ask: Arc<dyn Fn() + Send + Sync>,
}

/// The streamer does not take this feed, and will not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} refuses the feed: {answer}")]
pub struct Refused {
    pub url: String,
    /// The streamer's answer, for people.
    pub answer: String,
}

/// How a connection ended.
#[derive(Debug)]
enum Ended {
    /// Never made, or lost.
    Lost(String),
    /// Answered before the body ended.
    Answered(StatusCode, String),
    /// The body ended, and the streamer confirmed it, or did not.
    Finished,
    /// Told to end before there was a connection.
    Stopped,
}

/// What to do after a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Retry,
    RetrySlowly,
    GiveUp,
}

/// The answer to an early `status` on a connection that had lasted `lasted`.
fn after(status: StatusCode, lasted: Duration) -> Next {
    match status {
        StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Next::RetrySlowly
        }
        // A feed that was taken for a while has the right form: something else went wrong with this connection.
        _ if status.is_client_error() && lasted < GOOD => Next::GiveUp,
        _ => Next::Retry,
    }
}

impl Feed {
    /// Keeps the feed up until `stop` fires and the mailbox is finished, or until the streamer refuses it for good. Gives what was
    /// in the way last if nothing of the feed was ever taken for a while.
    pub async fn run(self, stop: Shutdown) -> Result<Option<String>, Refused> {
        let mut backoff = Backoff::new(FIRST_RETRY, MAX_RETRY);
        let (mut said, mut was_good, mut was_refused) = (String::new(), false, false);
        while !stop.has_fired() {
            let begun = Instant::now();
            let ended = tokio::select! {
                ended = self.serve(&stop) => ended,
                () = gone_after(&stop, LAST_WORD) => Ended::Lost("the streamer did not confirm the end of the feed in time".to_owned()),
            };
            let lasted = begun.elapsed();
            if lasted >= GOOD {
                backoff.reset();
                // What a proxy limits has not arrived, however much was sent.
                let is_limited = matches!(ended, Ended::Answered(StatusCode::PAYLOAD_TOO_LARGE, _));
                was_good |= self.has_sent() && !is_limited;
            }
            was_refused |= matches!(ended, Ended::Answered(..));
            let delay = match ended {
                Ended::Finished => {
                    was_good |= self.has_sent();
                    break;
                }
                Ended::Stopped => break,
                Ended::Lost(cause) => {
                    was_good |= self.has_sent() && !was_refused;
                    say(
                        &mut said,
                        format!("waiting for the streamer at {}: {cause}", self.url),
                    );
                    backoff.next_delay()
                }
                Ended::Answered(status, answer) => match after(status, lasted) {
                    Next::GiveUp => {
                        return Err(Refused {
                            url: self.url.to_string(),
                            answer,
                        });
                    }
                    Next::RetrySlowly => {
                        say(
                            &mut said,
                            format!("{} does not take the feed yet: {answer}", self.url),
                        );
                        REFUSED_RETRY
                    }
                    Next::Retry => {
                        say(&mut said, format!("{} ended the feed: {answer}", self.url));
                        backoff.next_delay()
                    }
                },
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.fired() => {}
            }
        }
        Ok((!was_good).then_some(said))
    }

    async fn serve(&self, stop: &Shutdown) -> Ended {
        match self.url.method() {
            FeedMethod::Put => self.connect_and_serve(stop).await,
            FeedMethod::Quic => {
                let Some(means) = &self.means else {
                    return Ended::Lost("nothing says whose certificate to believe".to_owned());
                };
                let line = quic::Line {
                    url: &self.url,
                    means,
                    sender: &self.sender,
                    mailbox: &self.mailbox,
                    sets: &self.sets,
                    metrics: &self.metrics,
                };
                let ended = line.serve(|who| self.ask_for(who)).await;
                self.metrics.disconnected();
                match ended {
                    Ok(()) => Ended::Finished,
                    Err(quic::Ended::Lost(why)) => Ended::Lost(why),
                    Err(quic::Ended::Declined(status, why)) => {
                        let status = StatusCode::from_u16(status);
                        // No status is no reason to give up.
                        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                        Ended::Answered(status, Problem::told(why.as_bytes()))
                    }
                }
            }
            FeedMethod::Record => {
                let ask = |who: Asker| self.ask_for(who);
                let ended = tokio::select! {
                    ended = record::serve(&self.url, &self.mailbox, &self.sets, &self.metrics, ask) => {
                        ended.map_or_else(Ended::Lost, |()| Ended::Finished)
                    }
                    () = self.stuck() => Self::took_nothing(),
                };
                self.metrics.disconnected();
                ended
            }
        }
    }

    fn has_sent(&self) -> bool {
        self.metrics.total(Outcome::Sent) > 0
    }

    /// Asks the encoder for a key frame, for `who`.
    fn ask_for(&self, who: Asker) {
        self.metrics.asked(who);
        (self.ask)();
    }

    fn took_nothing() -> Ended {
        let seconds = STUCK.as_secs();
        Ended::Lost(format!("the streamer took no frame for {seconds} s"))
    }

    async fn connect_and_serve(&self, stop: &Shutdown) -> Ended {
        let connected = tokio::select! {
            connected = connection::dial(&self.url, self.tls.as_ref()) => connected,
            () = stop.fired() => return Ended::Stopped,
        };
        let Connection { mut sender, driver } = match connected {
            Ok(connection) => connection,
            Err(error) => return Ended::Lost(service::tls::trouble(&error)),
        };
        let body = self.mailbox.open().boxed();
        self.metrics.connected();
        self.ask_for(Asker::Feed);
        let request = connection::put(&self.url, &self.sender, self.sets.sprop(), body);
        let exchange = async {
            match sender.send_request(request).await {
                Ok(response) if response.status().is_success() && stop.has_fired() => {
                    Ended::Finished
                }
                Ok(response) => {
                    let (status, is_limited) =
                        (response.status(), connection::is_limited(&response));
                    let answer = connection::refusal(response).await;
                    if is_limited {
                        self.ready.set_unready(answer.clone());
                    }
                    Ended::Answered(status, answer)
                }
                Err(error) => Ended::Lost(cause(&error)),
            }
        };
        // The driver ends with the connection, which the exchange sees.
        let driven = async {
            let _ = driver.await;
            std::future::pending::<()>().await;
        };
        let (before, told) = (self.metrics.total(Outcome::Sent), AtomicBool::new(false));
        let is_fed = AtomicBool::new(false);
        let hear = |heard| match heard {
            Heard::Fed | Heard::Foreign => {
                self.ready.set_ready();
                is_fed.store(true, Ordering::Relaxed);
            }
            Heard::NotFed if self.metrics.total(Outcome::Sent) > before => {
                self.arrives_nowhere(&told);
            }
            Heard::NotFed => {}
        };
        let connected = async {
            // A name that another renderer feeds is fed, too, and this feed is refused.
            tokio::time::sleep(GOOD).await;
            while !is_fed.load(Ordering::Relaxed) {
                tokio::time::sleep(FIRST_RETRY).await;
            }
            tracing::info!(feed = %self.url, "connected");
            std::future::pending::<()>().await;
        };
        let asked = || self.ask_for(Asker::Streamer);
        let events = events::listen(&self.url, self.tls.as_ref(), &self.sender, asked, hear);
        let ended = tokio::select! {
            ended = exchange => ended,
            () = driven => Ended::Finished,
            () = events => Ended::Finished,
            () = connected => Ended::Finished,
            () = self.stuck() => Self::took_nothing(),
        };
        self.metrics.disconnected();
        ended
    }

    /// Frames were sent, and the streamer knows of no feed: said once for a connection.
    fn arrives_nowhere(&self, told: &AtomicBool) {
        let why = format!(
            "nothing of the feed has arrived at {}: a proxy between keeps the request back until it ends? (nginx: \
             proxy_request_buffering off, and proxy_http_version 1.1)",
            self.url
        );
        if !told.swap(true, Ordering::Relaxed) {
            tracing::warn!("{why}");
        }
        self.ready.set_unready(why);
    }

    /// Returns once frames have been waiting for [`STUCK`].
    async fn stuck(&self) {
        loop {
            let since = self.mailbox.stuck_since().unwrap_or_else(Instant::now);
            if since.elapsed() >= STUCK {
                return;
            }
            tokio::time::sleep_until(since + STUCK).await;
        }
    }
}

/// Says a state once, however often it is met.
fn say(said: &mut String, text: String) {
    if *said != text {
        tracing::warn!("{text}");
        *said = text;
    }
}

async fn gone_after(stop: &Shutdown, limit: Duration) {
    stop.fired().await;
    tokio::time::sleep(limit).await;
}

/// The error with its causes, which hyper keeps apart.
fn cause(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
