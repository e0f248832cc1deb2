//! One connection over QUIC that carries the feed to xr-streamer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use media::packets::ParameterSets;
use roq::feed::{Destination, FeedError};
use roq::frame::Frame;
use roq::listen::explain;
use roq::send;
use roq::signal::{Hidden, Mode, Offer, Told};
use roq::transport::Tuning;
use roq::trust::Trust;
use settings::{Congestion, FeedUrl};

use super::body::Mailbox;
use super::connection::Sender;
use crate::metrics::{Asker, Metrics};

/// The payload type of the renderer's packets.
const PAYLOAD_TYPE: u8 = 96;

/// A frame that waits for longer is let go, with all up to the next key frame: a streamer does the same by default.
const PATIENCE: Duration = Duration::from_millis(100);

/// What may be under way before the first acknowledgement: a key frame of 720p.
const WINDOW_BYTES: u32 = 256 * 1024;

/// How a feed goes over QUIC, and to whom.
#[derive(Clone, Debug)]
pub struct Means {
    /// Who the streamer must be.
    pub trust: Trust,
    pub by: Mode,
    /// Whether the connection's keys are written to the file that `SSLKEYLOGFILE` names.
    pub key_log: bool,
}

/// The reason why a connection ended before the feed.
#[derive(Debug)]
pub(super) enum Ended {
    /// Never made, or lost.
    Lost(String),
    /// The streamer does not want the feed, with the status that HTTP has for it.
    Declined(u16, String),
}

/// A feed, as a connection needs it.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) url: &'a FeedUrl,
    pub(super) means: &'a Means,
    pub(super) sender: &'a Sender,
    pub(super) mailbox: &'a Mailbox,
    pub(super) sets: &'a ParameterSets,
    pub(super) metrics: &'a Metrics,
}

impl Line<'_> {
    /// Connects, and feeds until the mailbox is finished and all that was sent has arrived. `ask` asks the encoder for a key
    /// frame.
    pub(super) async fn serve(&self, ask: impl Fn(Asker)) -> Result<(), Ended> {
        let mut feeding = match roq::feed::offer(&self.destination(), self.offer()).await {
            Ok(feeding) => feeding,
            Err(FeedError::Declined(declined)) => {
                return Err(Ended::Declined(declined.status, declined.why));
            }
            Err(error) => return Err(Ended::Lost(error.to_string())),
        };
        let connection = feeding.connection().clone();
        let counters = self.metrics.quic.clone();
        let out = send::Sender::new(connection.clone(), self.means.by, PATIENCE, counters);
        let mut body = self.mailbox.open();
        self.metrics.connected();
        ask(Asker::Feed);
        tracing::info!(feed = %self.url, "connected");
        let sending = async {
            while let Some(frame) = body.next().await {
                let frame = Frame::new(frame.key_frame, &packets(&frame.body));
                if out.push(&Arc::new(frame), Instant::now()) {
                    ask(Asker::Feed);
                }
            }
            out.finish();
            // The end is known when all has arrived.
            std::future::pending::<()>().await;
        };
        let listening = async {
            loop {
                match feeding.told().await {
                    Ok(Told::Keyframe) => ask(Asker::Streamer),
                    Ok(Told::Taking(_)) => {}
                    Ok(Told::Declined(declined)) => {
                        return Ended::Declined(declined.status, declined.why);
                    }
                    Err(why) => return Ended::Lost(why),
                }
            }
        };
        let ended = tokio::select! {
            biased;
            // What the streamer says is the reason for the end of the connection.
            ended = listening => Err(ended),
            () = sending => Ok(()),
            () = out.run(|| ask(Asker::Feed)) => match connection.close_reason() {
                None => Ok(()),
                Some(end) => Err(Ended::Lost(explain(&end))),
            },
        };
        feeding.end().await;
        ended
    }

    fn destination(&self) -> Destination {
        Destination {
            host: self.url.host().to_owned(),
            port: self.url.port(),
            trust: self.means.trust.clone(),
            tuning: Tuning {
                congestion: Congestion::default(),
                initial_window_bytes: WINDOW_BYTES,
            },
            key_log: self.means.key_log,
        }
    }

    fn offer(&self) -> Offer {
        let hidden = |secret: &service::Secret| Hidden(secret.expose().to_owned());
        Offer {
            name: self.url.name().to_owned(),
            by: self.means.by,
            token: self.sender.token.as_ref().map(hidden),
            process: Some(hidden(&self.sender.process)),
            payload_type: PAYLOAD_TYPE,
            sprop_parameter_sets: self.sets.sprop().map(ToOwned::to_owned),
        }
    }
}

/// The packets of a frame's body, each of which stands behind its length (RFC 4571). None is copied.
fn packets(body: &Bytes) -> Vec<Bytes> {
    let mut packets = Vec::new();
    let mut rest = body.clone();
    while let Some(&[high, low]) = rest.first_chunk::<2>() {
        let end = 2 + usize::from(u16::from_be_bytes([high, low]));
        if rest.len() < end {
            break;
        }
        packets.push(rest.slice(2..end));
        rest = rest.slice(end..);
    }
    packets
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn a_body_is_its_packets() {
        let mut body = BytesMut::new();
        for packet in [&b"one"[..], b"", b"three"] {
            media::framing::append(&mut body, packet).unwrap();
        }
        let body = body.freeze();
        assert_eq!(packets(&body), [&b"one"[..], b"", b"three"]);
        assert_eq!(packets(&body.slice(..8)), [&b"one"[..], b""]);
    }
}
