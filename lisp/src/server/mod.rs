//! Map-Server and Map-Resolver in one: what is registered, who asked for it, and who is told of changes.
//!
//! The machine has no socket and no clock. [`MapServer::handle`] takes a datagram, [`MapServer::on_time`] the time that
//! [`MapServer::next_time`] asked for, and [`MapServer::poll_transmit`] gives what is to be sent.

mod answers;
#[cfg(test)]
mod bad_input;
mod config;
mod hole;
mod map_server;
mod policy;
mod publishing;
mod recalls;
mod refused;
mod registering;
mod registrations;
mod restarting;
mod saved;
mod solicitations;
mod subscription;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use config::{Limits, ServerConfig, Site};
pub use map_server::MapServer;
pub use policy::{ClusterState, Policy};
pub use refused::Refused;
pub use registrations::{Registrar, Registration, Xtr};
pub use saved::{SavedNonce, SavedState, SavedSubscription};
