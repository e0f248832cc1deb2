//! HTTP/1.1 servers that strangers cannot hurt: every ops port, the streamer's feeds and the collector use this one.
//!
//! Connections, headers and the time to send them are bounded. Reading and writing must progress, or the connection is
//! closed; when all connections are taken, one that is silent, idle or not keeping up makes room, so that no crowd keeps
//! anybody out. Requests wait for their turn once there are too many. Requests of web pages are refused. Bodies stay streams,
//! in both directions.

mod farewell;
mod pace;
mod problem;
mod serve;
mod slots;
#[cfg(feature = "tls")]
mod tls;
mod watched;
mod wire;

pub use pace::Pace;
pub use problem::{Problem, visible};
pub use serve::{Connections, Limits, listen, serve};
#[cfg(feature = "tls")]
pub use tls::{PeerCertificate, serve_either, serve_tls};
