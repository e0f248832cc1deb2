//! HTTP/1.1 servers that strangers cannot hurt: every ops port, the streamer's feeds and the collector use this one.
//!
//! Connections, headers and the time to send them are bounded. When all connections are taken, the oldest that never
//! sent a request makes room, so a silent crowd keeps nobody out. Bodies stay streams, in both directions.

mod problem;
mod serve;
mod slots;

pub use problem::Problem;
pub use serve::{Connections, Limits, listen, serve};
