//! RTP over QUIC (draft-ietf-avtcore-rtp-over-quic-14): its bytes ([`varint`], [`framing`], [`codes`], [`signal`]), what is
//! sent and what is let go ([`frame`], [`backlog`], [`send`]), what is received ([`receive`]), and quinn's endpoints with their
//! certificates and bounds ([`identity`], [`trust`], [`transport`], [`listen`], [`peer`], [`answer`], [`connect`], [`mod@feed`], [`args`]).
//!
//! ```text
//!  feed --Frame--> send::Sender --datagrams | one stream a frame--> receive::receive --RTP--> jitter buffer
//!                  flow 2  <------------------------- RTCP, datagrams --------------------------
//!                  flow 0  <-- "play NAME" -- bidirectional stream, once -- flow ids, parameter sets -->
//! ```
//!
//! The draft leaves to the application how flow identifiers are agreed upon: here a client asks for a feed by name on a
//! bidirectional stream of a flow of its own, or offers one, and then sends it as a server would ([`signal`]).

pub mod answer;
pub mod args;
pub mod backlog;
pub mod codes;
pub mod connect;
pub mod counters;
pub mod feed;
pub mod frame;
pub mod framing;
pub mod identity;
pub mod listen;
pub mod peer;
pub mod receive;
pub mod send;
pub mod signal;
mod socket;
pub mod transport;
pub mod trust;
pub mod varint;

pub use quinn::Connection;
