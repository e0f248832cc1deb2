//! Feeds come in over HTTP: `PUT` or `POST /feeds/{name}`, as RTP packets ([`rtp`]) or MPEG-TS ([`mpegts`]).

pub mod body;
pub mod media_type;
pub mod mpegts;
pub mod rate;
pub mod refusal;
pub mod routes;
pub mod rtp;
pub mod ts_bounds;
