//! xr-streamer: takes feeds in over HTTP and serves each to any number of viewers, without decoding it.
//!
//! A frame crosses the process on one thread: [`ingest`] reads it from the feed's connection, [`feed`] gives it the
//! numbers of its name, and [`rtsp`] and [`quic`] push it into the viewers' sockets. The streamer does not know that it is measured:
//! it notes which RTP timestamps passed when, for whoever asks its ops port.

pub mod app;
pub mod args;
pub mod expiry;
pub mod feed;
pub mod ingest;
pub mod metrics;
pub mod quic;
pub mod rtsp;
