//! `xr-lisp control`: the Map-Server and the management of service addresses as a service.

mod api;
mod app;
mod args;
mod clusters;
mod config;
mod directory;
mod metrics;
mod show;
mod state;
mod store;
mod udp;
mod view;

pub use app::run;
pub use args::ControlArgs;
pub use show::{ShowArgs, show};
