//! The service crate at its boundary: real sockets, real HTTP, real processes and signals.

mod boot;
mod hostile;
mod ops;
mod talk;
#[cfg(feature = "tls")]
mod tls;
