//! The feed's events: the streamer asks for a key frame when a viewer joins.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use rustls::ClientConfig;
use service::backoff::Backoff;
use settings::FeedUrl;

use super::body::empty;
use super::connection::{self, Sender};

/// The longest line of an event stream; a longer one is skipped.
const MAX_LINE: usize = 4096;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_secs(1);
/// Refusals in a row after which it is said that there are no events. The first can come from a streamer that has not yet
/// seen the feed whose events are asked for.
const ABSENT: u32 = 5;

/// The title of xr-streamer's refusal for a name that nobody has fed.
const NOT_FED: &str = "no such feed";

/// What the events, or their absence, say of the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The streamer knows the feed.
    Fed,
    /// The streamer knows no feed of the name, and has been asked for a while.
    NotFed,
    /// The server has no such events, which is no streamer of ours.
    Foreign,
}

/// Listens as long as it is polled: calls `ask` for each key frame that is asked for, and `hear` with what else that says.
pub(super) async fn listen(
    url: &FeedUrl,
    tls: Option<&Arc<ClientConfig>>,
    sender: &Sender,
    mut ask: impl FnMut(),
    mut hear: impl FnMut(Heard),
) {
    let mut backoff = Backoff::new(FIRST_RETRY, MAX_RETRY);
    let mut refusals = 0_u32;
    loop {
        match once(url, tls, sender, &mut ask, &mut hear).await {
            Ended::Lost(cause) => {
                tracing::debug!(cause, "the feed's events were lost; listening again");
            }
            Ended::Served => {
                backoff.reset();
                refusals = 0;
            }
            Ended::Absent(status, is_fed) => {
                refusals = refusals.saturating_add(1);
                if refusals >= ABSENT {
                    hear(is_fed);
                }
                if refusals == ABSENT && is_fed == Heard::Foreign {
                    tracing::info!(%status, "the streamer sends no events; late viewers wait for the next key frame");
                }
            }
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

enum Ended {
    /// The stream of events was there and ended.
    Served,
    Lost(String),
    Absent(StatusCode, Heard),
}

async fn once(
    url: &FeedUrl,
    tls: Option<&Arc<ClientConfig>>,
    sender: &Sender,
    ask: &mut impl FnMut(),
    hear: &mut impl FnMut(Heard),
) -> Ended {
    let lost = |error: &dyn std::error::Error| Ended::Lost(error.to_string());
    let connection::Connection {
        sender: mut requests,
        driver,
    } = match connection::dial(url, tls).await {
        Ok(connection) => connection,
        Err(error) => return lost(&error),
    };
    let exchange = async {
        let response = match requests
            .send_request(connection::get_events(url, sender, empty()))
            .await
        {
            Ok(response) => response,
            Err(error) => return lost(&error),
        };
        if !response.status().is_success() {
            let status = response.status();
            let is_ours = status == StatusCode::NOT_FOUND
                && connection::refusal(response).await.contains(NOT_FED);
            let heard = if is_ours {
                Heard::NotFed
            } else {
                Heard::Foreign
            };
            return Ended::Absent(status, heard);
        }
        hear(Heard::Fed);
        let mut body = response.into_body();
        let mut events = Events::default();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { break };
            if let Some(bytes) = frame.data_ref() {
                for _ in 0..events.key_frames_in(bytes) {
                    ask();
                }
            }
        }
        Ended::Served
    };
    // The driver ends with the connection, which the exchange sees; alone it would leave the answer unread.
    tokio::pin!(exchange, driver);
    tokio::select! {
        ended = &mut exchange => ended,
        _ = &mut driver => exchange.await,
    }
}

/// A reader of `text/event-stream`: lines, and an event at each empty one. It holds one line of at most 4096 bytes.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    /// The line is too long and is skipped.
    overlong: bool,
    key_frame: bool,
}

impl Events {
    /// How many key frames are asked for by the events that end in `bytes`.
    pub fn key_frames_in(&mut self, bytes: &[u8]) -> usize {
        bytes.iter().filter(|byte| self.take(**byte)).count()
    }

    /// Whether this byte ends an event that asks for a key frame.
    fn take(&mut self, byte: u8) -> bool {
        if byte != b'\n' {
            if self.line.len() < MAX_LINE {
                self.line.push(byte);
            } else {
                self.overlong = true;
            }
            return false;
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop_if(|last| *last == b'\r');
        if std::mem::take(&mut self.overlong) {
            return false;
        }
        if line.is_empty() {
            return std::mem::take(&mut self.key_frame);
        }
        if let Some(event) = line.strip_prefix(b"event:") {
            self.key_frame = event.trim_ascii() == b"keyframe";
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_whole_key_frame_events_count() {
        let mut events = Events::default();
        assert_eq!(
            events.key_frames_in(b": hello\n\nevent: keyframe\ndata: {}\n"),
            0,
            "not ended yet"
        );
        assert_eq!(events.key_frames_in(b"\n"), 1);
        assert_eq!(events.key_frames_in(b"event: bye\ndata: keyframe\n\n"), 0);
        assert_eq!(
            events.key_frames_in(b"event:keyframe\r\n\r\nevent: keyframe\n\n"),
            2
        );
        assert_eq!(
            events.key_frames_in(b"event: keyframe\nevent: other\n\n"),
            0,
            "the last field counts"
        );
    }

    proptest! {
        #[test]
        fn lines_are_bounded_and_pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..9000), cut in 0_usize..9000) {
            let mut whole = Events::default();
            let expected = whole.key_frames_in(&bytes);
            let mut pieces = Events::default();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(pieces.key_frames_in(head) + pieces.key_frames_in(tail), expected);
            prop_assert!(pieces.line.len() <= MAX_LINE);
        }
    }
}
