//! `xr-lisp bench mobility`: how long a client is away when its tunnel router gets another address, or when it moves to another one.

mod measure;
mod once;

pub use measure::{MobilityArgs, run};
pub use once::{Move, Way, once};
