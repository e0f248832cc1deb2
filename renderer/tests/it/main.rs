//! The program at its boundary: the real binary feeds servers that take the feed, refuse it, break off, or never read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod feed;
mod floor;
mod process;
mod server;
mod start;
