//! xr-client as a process, against a real RTSP server that is another process and can be killed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers fail the test, and its figures are for whoever reads it"
)]

mod behind;
mod client;
mod collector;
mod encrypted;
mod messages;
mod outputs;
mod play;
mod proxy;
mod recovery;
mod server;
mod users;
