//! The streamer as a process, with real feeds and real viewers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod asking;
mod bounded;
mod describing;
mod encrypted;
mod feeding;
mod feeding_quic;
mod owning;
mod refusing;
mod relaying;
mod reporting;
mod rtsps;
mod server;
mod speaking;
mod surviving;
mod viewing;
