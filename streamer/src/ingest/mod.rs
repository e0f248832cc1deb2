//! Feeds come in by one [`door`]: over HTTP, `PUT` or `POST /feeds/{name}` ([`routes`]), as RTP packets ([`rtp`]) or MPEG-TS
//! ([`mpegts`]); and over QUIC, whose packets are put in order first ([`reorder`]). All RTP packets then go the same way
//! ([`intake`]).

pub mod body;
pub mod door;
pub mod intake;
pub mod media_type;
pub mod mpegts;
pub mod rate;
pub mod refusal;
pub mod reorder;
pub mod routes;
pub mod rtp;
pub mod ts_bounds;
