//! LISP between clusters: a service keeps one address wherever its pods run (RFC 9300, RFC 9301, RFC 9437).
//!
//! The messages, tables and state machines know no socket and no clock: time is an argument of theirs. Programs stand around them.

pub mod agent;
pub mod auth;
pub mod bench;
pub mod cli;
pub mod control;
pub mod data;
pub mod edge;
pub mod eid;
pub mod eid_map;
pub mod mapping;
pub mod pace;
pub mod ports;
pub mod server;
pub mod services;
pub mod tls;
pub mod told;
pub mod transmit;
pub mod wire;
#[cfg(test)]
mod world;
pub mod xtr;
