//! Whole processes on this host, for tests and benchmarks: a [`Sandbox`] starts the programs that were built beside the test, a
//! [`Service`] answers on its ops port, [`until`] awaits what a test expects to see, [`run`] runs a program to its end, and a
//! [`Viewer`] takes a stream without looking at its pictures.
//!
//! Everything here panics with the process's own words where a test cannot go on: it is for tests only.

pub mod bounds;
mod command;
mod ops;
mod records;
mod sandbox;
mod viewer;

pub use command::{Finished, run, run_in};
pub use ops::{Ops, until};
pub use records::{Crossings, Journal, rows};
pub use sandbox::{Ended, Sandbox, Service, binary, free_address, video};
pub use settings::Transport;
pub use viewer::{Seen, Viewer};
