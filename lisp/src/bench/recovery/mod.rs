//! `xr-lisp bench recovery`: how long a service is away when it, its node or its cluster fails, and another cluster has it too.

mod args;
mod measure;
mod once;
mod way;

pub use args::RecoveryArgs;
pub use measure::run;
pub use once::{Settings, once};
pub use way::{Fault, Way};
