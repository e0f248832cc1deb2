//! Scenario files: what to run, in TOML. Every key is in `docs/scenarios.md`.

mod check;
mod error;
mod load;
mod model;
mod network;
mod ranges;
mod server;
mod tree;

pub use error::CheckError;
pub use load::{Overrides, load, parse};
pub use model::{Disturbed, File, Floor, Ocr, SCHEMA, Scenario};
pub use network::{DirectionKeys, Distribution, Fabric, Fault, Service, Victim, WanKeys};
pub use server::{Server, ServerAddresses};
