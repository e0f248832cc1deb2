//! `xr-lisp control`: the Map-Server and the management of service addresses as a service.

mod allocated;
mod api;
mod app;
mod args;
mod clusters;
mod config;
mod directory;
mod metrics;
mod refusals;
mod running;
mod show;
mod speaker;
mod state;
mod store;
mod tls;
mod udp;
mod view;

pub use allocated::{Allocated, Heard, Listed, PoolView};
pub use app::run;
pub use args::ControlArgs;
pub use show::{ShowArgs, show};
