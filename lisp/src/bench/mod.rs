//! `xr-lisp bench`: experiments on one machine, each in namespaces of its own.
//!
//! `data` measures what the tunnel costs, beside no tunnel and other people's tunnels; [`recovery`] how long a service is away that
//! fails in one cluster and runs in another; [`mobility`] how long a client is away that moves; `creation`, on an API server that runs, how
//! long a Service takes to be registered. Every repetition measures each way
//! once, so that whatever else the machine does meets all of them alike.

mod app;
mod args;
pub mod cast;
mod contender;
mod creation;
pub mod ends;
pub mod fleet;
mod keeper;
pub mod layout;
mod load;
mod measure;
pub mod mobility;
mod names;
pub mod network;
pub mod outage;
pub mod pingpong;
mod raw;
pub mod recovery;
mod report;
pub mod seen;
mod serve;
mod stream;
mod table;

pub use app::run;
pub use args::BenchArgs;
