//! Why a feed is not taken, or not any longer, and how that is said.

use axum::http::StatusCode;
use media::framing::TooLong;
use service::http::Problem;

use super::media_type::Unsupported;
use super::ts_bounds::Beyond;
use crate::feed::assembler;
use crate::feed::lease::Taken;
use crate::feed::name::BadName;
use crate::feed::table::{Full, Unavailable};
use crate::feed::{Superseded, name::FeedName};
use crate::metrics::Refused;

/// The reason why a feed ends other than by its sender's will.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The path names no feed.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Another feed has the name.
    #[error("{0}: {1}")]
    Taken(FeedName, Taken),
    /// Another feed took the name.
    #[error("{0}: {1}")]
    Superseded(FeedName, Superseded),
    /// No room for another name.
    #[error(transparent)]
    Full(#[from] Full),
    /// The feed has not the token that this streamer asks for.
    #[error("the feed carries {0}, and this streamer takes feeds with its own token only")]
    Unauthorised(&'static str),
    /// Over QUIC feeds are taken with a token only, and this streamer has none.
    #[error("this streamer has no token for feeds, and takes none over QUIC without one")]
    NoToken,
    /// The content type cannot be relayed.
    #[error(transparent)]
    MediaType(#[from] Unsupported),
    /// The request is one of many that hold a part of the feed each.
    #[error("the request holds a part of a feed only, as its Content-Range says: {0}")]
    Part(String),
    /// No content type, and the body is not MPEG-TS.
    #[error(
        "there is no content type, and the body does not begin like MPEG-TS: its first bytes are {0}"
    )]
    Unrecognised(String),
    /// The MPEG-TS carries no H.264.
    #[error("the MPEG-TS carries {0}, and no H.264 video")]
    Codec(String),
    /// A PES packet of the MPEG-TS is not one picture.
    #[error("a PES packet of the MPEG-TS holds {0}")]
    NoPicture(&'static str),
    /// The body is not what its media type says.
    #[error("after {packets} good packets: {why}")]
    Garbage {
        /// Packets taken before the refusal.
        packets: u64,
        why: String,
    },
    /// The body ended within a packet.
    #[error(
        "the body ends in the middle of a packet, after {packets} whole ones: {have} bytes of it came"
    )]
    Cut {
        /// Packets taken before the refusal.
        packets: u64,
        /// Bytes of the packet that came.
        have: usize,
    },
    /// A packet is too long.
    #[error("{0}")]
    TooLong(TooLong),
    #[error("{0}")]
    FrameTooLong(assembler::Refusal),
    /// A picture of MPEG-TS has no end.
    #[error("{0}")]
    Endless(Beyond),
    /// No packet came for so many seconds.
    #[error("no packet came for {0} s")]
    Silent(u64),
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The machine cannot take MPEG-TS.
    #[error("this streamer cannot read MPEG-TS: {0}")]
    Machine(String),
    #[error("the streamer stops")]
    Stopping,
}

impl Refusal {
    /// The refusal where `name` cannot be had, and why.
    pub fn unavailable(name: &FeedName, why: Unavailable) -> Self {
        match why {
            Unavailable::Taken(taken) => Self::Taken(name.clone(), taken),
            Unavailable::Full(full) => Self::Full(full),
        }
    }

    /// What it is counted as; none if the sender ended it.
    pub const fn reason(&self) -> Option<Refused> {
        Some(match self {
            Self::Name(_) => Refused::name,
            Self::Taken(..) | Self::Superseded(..) => Refused::taken,
            Self::Full(_) => Refused::full,
            Self::Unauthorised(_) | Self::NoToken => Refused::token,
            Self::MediaType(_) | Self::Unrecognised(_) | Self::Part(_) => Refused::media_type,
            Self::Codec(_) | Self::NoPicture(_) => Refused::codec,
            Self::Garbage { .. } => Refused::garbage,
            Self::Cut { .. } => Refused::cut,
            Self::TooLong(_) | Self::FrameTooLong(_) | Self::Endless(_) => Refused::too_long,
            Self::Stopping => Refused::stopping,
            Self::Silent(_) | Self::Broken(_) | Self::Machine(_) => return None,
        })
    }

    /// How the sender is told.
    pub fn problem(&self) -> Problem {
        let (status, title, remedy) = match self {
            Self::Name(_) => (
                StatusCode::BAD_REQUEST,
                "not a feed's name",
                "Use a name such as room-1 in the path.",
            ),
            Self::Taken(..) => (
                StatusCode::CONFLICT,
                "the name is taken",
                "Choose another name, or send the Authorization bearer token of the feed that has it. A name that was fed \
                 with a token stays that token's for the streamer's --forget-s; one without is free once its feed is silent \
                 for --stall-ms.",
            ),
            Self::Unauthorised(_) => (
                StatusCode::UNAUTHORIZED,
                "the feed's token is wrong",
                "Send the token of the streamer's --feed-token-file, over HTTP as an Authorization bearer token (xr-renderer \
                 --token-file, or XR_TOKEN).",
            ),
            Self::NoToken => (
                StatusCode::FORBIDDEN,
                "no feeds over QUIC",
                "Start the streamer with --feed-token-file, and feed it with that token; or feed it over HTTP.",
            ),
            Self::Superseded(..) => (
                StatusCode::CONFLICT,
                "the name was taken over",
                "Feed a name from one renderer only, or choose another name.",
            ),
            Self::Full(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no room for another name",
                "Use a name that exists, wait until one expires, or start the streamer with a higher --max-feeds.",
            ),
            Self::MediaType(_) | Self::Unrecognised(_) | Self::Codec(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not a stream that can be relayed",
                "Send H.264: as RTP in RFC 4571 framing with Content-Type: application/x-rtp-stream; encoding-name=H264, \
                 or as MPEG-TS with Content-Type: video/mp2t (ffmpeg: -c:v libx264 -f mpegts).",
            ),
            Self::Part(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a feed is one request",
                "Send the whole feed in the body of one request, as ffmpeg and GStreamer's curlhttpsink do; souphttpclientsink sends a \
                 request for each piece.",
            ),
            Self::NoPicture(_) => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a PES packet is not one picture",
                "Use a multiplexer that writes each picture into one PES packet, as ffmpeg (-f mpegts) and GStreamer's \
                 mpegtsmux do, or send RTP.",
            ),
            Self::Garbage { .. } => (
                StatusCode::BAD_REQUEST,
                "the body is not what its content type says",
                "Send each RTP packet after its length in two bytes, big-endian (RFC 4571), or MPEG-TS as video/mp2t.",
            ),
            Self::Cut { .. } => (
                StatusCode::BAD_REQUEST,
                "the body was cut off",
                "End a feed at the end of a packet; what came before the cut was relayed.",
            ),
            Self::TooLong(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "a packet is too long",
                "Send RTP packets that fit a datagram on every path (xr-renderer --rtp-mtu 1150).",
            ),
            Self::FrameTooLong(_) | Self::Endless(_) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "a frame is too long",
                "Set the marker bit on the last packet of each frame, lower the bit rate, or send longer packets (xr-renderer \
                 --rtp-mtu 1150).",
            ),
            Self::Silent(_) => (
                StatusCode::REQUEST_TIMEOUT,
                "the feed was silent",
                "End the request when there is nothing to send, and start another later. An encoder that looks ahead holds its first \
                 pictures back: give it a lower latency (ffmpeg: -tune zerolatency).",
            ),
            Self::Broken(_) => (
                StatusCode::BAD_REQUEST,
                "the connection broke",
                "Connect again.",
            ),
            Self::Machine(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "MPEG-TS cannot be read here",
                "Install what is missing on the streamer's machine, or send RTP.",
            ),
            Self::Stopping => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the streamer stops",
                "Connect again to its successor.",
            ),
        };
        Problem::new(status, title, self.to_string(), remedy)
    }
}
