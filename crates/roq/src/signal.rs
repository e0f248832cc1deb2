//! What is said before packets flow: a client asks for a feed by its name, and hears by which flows it comes, and what a
//! decoder needs. JSON after the flow identifier, on the one bidirectional stream of a connection. Pure.
//!
//! The draft has flow identifiers agreed upon "using appropriate signaling", and allows other protocols on a connection
//! under identifiers of their own.

use serde::{Deserialize, Serialize};

use crate::framing::FlowId;
use crate::varint;

/// The most bytes of a request.
pub const REQUEST_BYTES_MAX: usize = 1024;

/// The most bytes of an answer: the parameter sets are in it.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// How a client wants its packets.
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
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The name of the feed.
    pub play: String,
    pub by: Mode,
}

/// The server's answer.
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

    #[test]
    fn what_is_said_is_understood() {
        let request = Request {
            play: "room".to_owned(),
            by: Mode::Stream,
        };
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
    fn anything_else_is_named() {
        assert_eq!(read::<Request>(b""), Err(Unintelligible::NoFlow));
        assert_eq!(read::<Request>(b"\x01{}"), Err(Unintelligible::Flow(1)));
        let why = read::<Request>(b"\0{\"play\":\"x\",\"by\":\"carrier pigeon\"}").unwrap_err();
        assert!(why.to_string().contains("carrier pigeon"), "{why}");
    }
}
