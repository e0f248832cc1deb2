//! `xr-lisp bench mobility`: how long a client is away when its tunnel router gets another address.

mod measure;
mod once;

pub use measure::{MobilityArgs, run};
pub use once::{Way, once};
