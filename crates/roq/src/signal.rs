//! What is said before packets flow: a client asks for a feed by its name, and hears by which flows it comes, and what a
//! decoder needs; or it offers one, and hears whether it is taken, and when a key frame is needed. JSON after the flow
//! identifier, on the one bidirectional stream of a connection. Pure.
//!
//! The draft has flow identifiers agreed upon "using appropriate signaling", and allows other protocols on a connection
//! under identifiers of their own.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::framing::{FlowId, stream};
use crate::varint;

/// The most bytes of a request: a token and parameter sets may be in it.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// The most bytes of an answer: the parameter sets are in it.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each packet in a datagram. What is lost stays lost.
    Datagram,
    /// Each frame on a stream of its own. What is lost is sent again, and holds up no other frame.
    Stream,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub enum Request {
    /// To be sent a feed.
    Play(Play),
    /// To send one.
    Feed(Offer),
}

/// The wish to be sent a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// The name of the feed.
    pub name: String,
    pub by: Mode,
}

/// The wish to send a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The name of the feed.
    pub name: String,
    pub by: Mode,
    /// Proof that the name is the sender's.
    pub token: Option<Hidden>,
    /// A mark of the sending program, by which one that lost its connection is known when it comes back.
    pub process: Option<Hidden>,
    pub payload_type: u8,
    /// The parameter sets as RFC 6184 writes them, where they are known.
    pub sprop_parameter_sets: Option<String>,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(***)")
    }
}

/// A request as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    #[serde(skip_serializing_if = "Option::is_none")]
    play: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed: Option<String>,
    by: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Hidden>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<Hidden>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sprop_parameter_sets: Option<String>,
}

impl TryFrom<Words> for Request {
    type Error = &'static str;

    fn try_from(words: Words) -> Result<Self, Self::Error> {
        let Words {
            play,
            feed,
            by,
            token,
            process,
            payload_type,
            sprop_parameter_sets,
        } = words;
        match (play, feed) {
            (Some(name), None) => {
                let of_feeds = token.is_some()
                    || process.is_some()
                    || payload_type.is_some()
                    || sprop_parameter_sets.is_some();
                if of_feeds {
                    return Err("`play` goes with `by` alone");
                }
                Ok(Self::Play(Play { name, by }))
            }
            (None, Some(name)) => Ok(Self::Feed(Offer {
                name,
                by,
                token,
                process,
                payload_type: payload_type.ok_or("a feed has a `payload_type`")?,
                sprop_parameter_sets,
            })),
            _ => Err("a request says either `play` or `feed`"),
        }
    }
}

impl From<Request> for Words {
    fn from(request: Request) -> Self {
        match request {
            Request::Play(Play { name, by }) => Self {
                play: Some(name),
                feed: None,
                by,
                token: None,
                process: None,
                payload_type: None,
                sprop_parameter_sets: None,
            },
            Request::Feed(offer) => Self {
                play: None,
                feed: Some(offer.name),
                by: offer.by,
                token: offer.token,
                process: offer.process,
                payload_type: Some(offer.payload_type),
                sprop_parameter_sets: offer.sprop_parameter_sets,
            },
        }
    }
}

/// The server's answer to whoever plays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The feed comes from now on.
    Playing(Playing),
    /// The feed does not come, for this reason.
    Refused(String),
}

/// The flows of a feed, and what SDP says of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playing {
    pub rtp_flow: u64,
    pub rtcp_flow: u64,
    /// SSRC of the RTP packets.
    pub ssrc: u32,
    pub payload_type: u8,
    pub clock_rate: u32,
    /// RTP's name of the codec, as `H264`.
    pub encoding: String,
    /// The parameter sets as RFC 6184 writes them.
    pub sprop_parameter_sets: String,
    /// Profile and level as RFC 6184 writes them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile_level_id: Option<String>,
}

/// A word of the server's to whoever feeds it: one of several on their stream, each after its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// The feed is taken from now on.
    Taking(Taking),
    /// A viewer needs a key frame.
    Keyframe,
    /// The feed is not taken, or not any longer.
    Declined(Declined),
}

/// The flow that a feed is taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    pub rtp_flow: u64,
}

/// A feed that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The status that HTTP has for the same refusal: it says whether to try again.
    pub status: u16,
    /// The reason and the remedy.
    pub why: String,
}

/// The reason why bytes are neither request nor answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unintelligible {
    /// The stream belongs to another flow.
    #[error("flow {0} on a bidirectional stream, where only flow 0 may be")]
    Flow(u64),
    /// The flow identifier is cut off.
    #[error("a stream without a whole flow identifier")]
    NoFlow,
    /// What follows is no JSON, or not the expected one.
    #[error("{0}")]
    Json(String),
}

/// The bytes of a request or an answer.
///
/// # Panics
/// When `message` cannot be JSON. [`Request`] and [`Answer`] can.
pub fn write(message: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::write(FlowId::SIGNALLING.number(), &mut bytes);
    serde_json::to_writer(&mut bytes, message).expect("texts and numbers can be JSON");
    bytes
}

/// The bytes of a word to whoever feeds; `begins` where it is the first of its stream.
///
/// # Panics
/// When `told` cannot be JSON. Every word can.
pub fn word(told: &Told, begins: bool) -> Bytes {
    let json = serde_json::to_vec(told).expect("texts and numbers can be JSON");
    let bytes = stream(FlowId::SIGNALLING, [&json[..]].into_iter());
    if begins {
        bytes
    } else {
        bytes.slice(varint::length(FlowId::SIGNALLING.number())..)
    }
}

/// A word to whoever feeds from its bytes, without the length before them.
pub fn read_word(json: &[u8]) -> Result<Told, Unintelligible> {
    serde_json::from_slice(json).map_err(|error| Unintelligible::Json(error.to_string()))
}

/// A request or an answer from its bytes.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Unintelligible> {
    let (flow, json) = varint::read(bytes).ok_or(Unintelligible::NoFlow)?;
    if flow != FlowId::SIGNALLING.number() {
        return Err(Unintelligible::Flow(flow));
    }
    serde_json::from_slice(json).map_err(|error| Unintelligible::Json(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::Deframer;

    #[test]
    fn what_is_said_is_understood() {
        let request = Request::Play(Play {
            name: "room".to_owned(),
            by: Mode::Stream,
        });
        let bytes = write(&request);
        assert_eq!(bytes, b"\0{\"play\":\"room\",\"by\":\"stream\"}");
        assert_eq!(read::<Request>(&bytes), Ok(request));

        let playing = Answer::Playing(Playing {
            rtp_flow: 1,
            rtcp_flow: 2,
            ssrc: 3,
            payload_type: 96,
            clock_rate: 90_000,
            encoding: "H264".to_owned(),
            sprop_parameter_sets: "Z0LAH9o=,aM48gA==".to_owned(),
            profile_level_id: None,
        });
        for answer in [playing, Answer::Refused("no such feed".to_owned())] {
            assert_eq!(read(&write(&answer)), Ok(answer));
        }
    }

    #[test]
    fn an_offer_carries_its_token_and_shows_it_to_nobody() {
        let offer = Offer {
            name: "room".to_owned(),
            by: Mode::Datagram,
            token: Some(Hidden("swordfish".to_owned())),
            process: None,
            payload_type: 96,
            sprop_parameter_sets: Some("Z0LAH9o=,aM48gA==".to_owned()),
        };
        let request = Request::Feed(offer);
        assert!(!format!("{request:?}").contains("swordfish"));
        let bytes = write(&request);
        let text = r#"{"feed":"room","by":"datagram","token":"swordfish","payload_type":96,"sprop_parameter_sets":"Z0LAH9o=,aM48gA=="}"#;
        assert_eq!(bytes, [b"\0", text.as_bytes()].concat());
        assert_eq!(read::<Request>(&bytes), Ok(request));
    }

    /// Flow 0, then each word after its length: 25 bytes, 10, and 41.
    #[test]
    fn words_to_who_feeds_are_these_bytes() {
        let words = [
            Told::Taking(Taking { rtp_flow: 1 }),
            Told::Keyframe,
            Told::Declined(Declined {
                status: 409,
                why: "taken".to_owned(),
            }),
        ];
        let bytes = words.iter().zip([true, false, false]);
        let bytes: Vec<u8> = bytes
            .flat_map(|(told, begins)| word(told, begins))
            .collect();
        let golden = b"\0\x19{\"taking\":{\"rtp_flow\":1}}\x0a\"keyframe\"\x29{\"declined\":{\"status\":409,\"why\":\"taken\"}}";
        assert_eq!(bytes, golden);
        let (mut deframer, mut heard) = (Deframer::default(), Vec::new());
        deframer
            .push(&bytes, |json| heard.push(read_word(&json).unwrap()))
            .unwrap();
        assert_eq!(deframer.flow(), Some(FlowId::SIGNALLING));
        assert_eq!(heard, words);
    }

    #[test]
    fn half_a_request_is_none() {
        for (text, why) in [
            (r#"{"by":"stream"}"#, "either `play` or `feed`"),
            (
                r#"{"play":"a","feed":"a","by":"stream","payload_type":96}"#,
                "either",
            ),
            (r#"{"play":"a","by":"stream","token":"t"}"#, "alone"),
            (r#"{"feed":"a","by":"stream"}"#, "payload_type"),
            (
                r#"{"feed":"a","by":"stream","payload_type":96,"tokn":"t"}"#,
                "tokn",
            ),
        ] {
            let bytes = [b"\0", text.as_bytes()].concat();
            let error = read::<Request>(&bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn anything_else_is_named() {
        assert_eq!(read::<Request>(b""), Err(Unintelligible::NoFlow));
        assert_eq!(read::<Request>(b"\x01{}"), Err(Unintelligible::Flow(1)));
        let why = read::<Request>(b"\0{\"play\":\"x\",\"by\":\"carrier pigeon\"}").unwrap_err();
        assert!(why.to_string().contains("carrier pigeon"), "{why}");
    }
}
