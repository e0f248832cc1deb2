//! The collector: takes every client's reports, pulls every service's trace, joins both per frame, and writes as it goes.
//!
//! ```text
//! client  -- POST /frames/{id} --> reports --\
//! renderer <-- GET /trace ------- scrape ----+--> core (join) --> files: frames.csv, latency.hlog
//! streamer <-- GET /trace ------- scrape ----/        \---------> metrics, live, progress
//! ```
//!
//! It runs inside `xrbench run`, and by itself as the program xr-collector.

pub mod cli;
mod clients;
mod clocks;
mod collection;
mod collector;
pub mod core;
pub mod files;
mod live;
pub mod metrics;
pub mod reporter;
pub mod reports;
pub mod scrape;
mod server;
mod shared;

pub use collection::Collection;
pub use collector::{Collector, MAX_BYTES, Start};
pub use live::{Live, Used};
pub use shared::OnEvent;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
