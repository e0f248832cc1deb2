//! A client's side of a feed that it sends: the offer, and what the server says of it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, Endpoint, RecvStream};

use crate::codes::Code;
use crate::connect::{DialError, dial};
use crate::framing::{Deframer, FlowId};
use crate::listen::explain;
use crate::signal::{self, Declined, Offer, Request, Told};
use crate::transport::{self, Tuning};
use crate::trust::Trust;

/// How long the server may take to say whether it takes the feed.
const ANSWER: Duration = Duration::from_millis(1_500);

/// How long the server may take to hear that the feed has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// The most bytes of words that are looked at in one piece.
const CHUNK_BYTES: usize = 4096;

/// The most bytes of one word.
const WORD_BYTES_MAX: usize = 16 * 1024;

/// Where a feed goes.
#[derive(Clone, Debug)]
pub struct Destination {
    pub host: String,
    pub port: u16,
    /// Who the server must be.
    pub trust: Trust,
    pub tuning: Tuning,
    /// Whether the connection's keys are written to the file that `SSLKEYLOGFILE` names.
    pub key_log: bool,
}

/// The reason why a feed is not taken.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The server does not want the feed.
    #[error("the streamer declines: {}", .0.why)]
    Declined(Declined),
    /// The server does not answer, or not understandably.
    #[error("{0}")]
    Answer(String),
}

/// A feed that the server takes. Dropping it ends the connection.
#[derive(Debug)]
pub struct Feeding {
    endpoint: Endpoint,
    connection: Connection,
    words: RecvStream,
    deframer: Deframer,
    heard: VecDeque<Told>,
}

impl Drop for Feeding {
    fn drop(&mut self) {
        self.connection.close(Code::NoError.into(), b"");
    }
}

/// Offers a feed, and returns once it is taken.
pub async fn offer(to: &Destination, offer: Offer) -> Result<Feeding, FeedError> {
    let config = transport::feeder(&to.trust, to.tuning, to.key_log);
    let (endpoint, connection) = dial(&to.host, to.port, config).await?;
    let request = Bytes::from(signal::write(&Request::Feed(offer)));
    let asked = async {
        let (mut send, words) = connection.open_bi().await.map_err(|end| explain(&end))?;
        let sent = send.write_chunk(request).await;
        sent.map_err(|error| error.to_string())?;
        let _ = send.finish();
        let mut feeding = Feeding {
            endpoint,
            connection,
            words,
            deframer: Deframer::default(),
            heard: VecDeque::new(),
        };
        let told = feeding.told().await?;
        Ok::<_, String>((feeding, told))
    };
    let answered = tokio::time::timeout(ANSWER, asked).await;
    let (feeding, told) = answered
        .map_err(|_| "the streamer does not say whether it takes the feed".to_owned())
        .flatten()
        .map_err(FeedError::Answer)?;
    match told {
        Told::Taking(taking) if taking.rtp_flow == FlowId::RTP.number() => Ok(feeding),
        Told::Declined(declined) => Err(FeedError::Declined(declined)),
        told => Err(FeedError::Answer(format!(
            "the streamer's answer to the offer of a feed: {told:?}"
        ))),
    }
}

impl Feeding {
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The server's next word; why none comes any more. Nothing is lost where it is not waited for to the end.
    pub async fn told(&mut self) -> Result<Told, String> {
        loop {
            if let Some(told) = self.heard.pop_front() {
                return Ok(told);
            }
            let chunk = self.words.read_chunk(CHUNK_BYTES, true).await;
            let Ok(Some(chunk)) = chunk else {
                let closed = self.connection.close_reason();
                return Err(closed.map_or_else(
                    || "the streamer has ended the feed, and does not say why".to_owned(),
                    |end| explain(&end),
                ));
            };
            self.hear(&chunk.bytes)?;
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut words = Vec::new();
        let pushed = self.deframer.push(bytes, |word| words.push(word));
        pushed.map_err(|error| format!("the streamer's words: {error}"))?;
        let flow = self.deframer.flow();
        if flow.is_some_and(|flow| flow != FlowId::SIGNALLING) {
            return Err("the streamer's words are of another flow than 0".to_owned());
        }
        for word in words {
            if word.len() > WORD_BYTES_MAX {
                return Err(format!("a word of {} bytes of the streamer's", word.len()));
            }
            let told = signal::read_word(&word);
            let told = told.map_err(|error| format!("the streamer's words: {error}"))?;
            self.heard.push_back(told);
        }
        Ok(())
    }

    /// Ends the connection, and waits until the server has been told.
    pub async fn end(self) {
        let why = b"the feed has ended";
        self.connection.close(Code::NoError.into(), why);
        let _ = tokio::time::timeout(FAREWELL, self.endpoint.wait_idle()).await;
    }
}
