//! `xrbench run`: a scenario file becomes a folder of results.
//!
//! ```text
//! load -> plan -> for each repetition in turn: start, first frame, warm up, measure, stop, join -> read strips -> summary
//! ```

pub mod cli;
pub mod commands;
mod dry;
pub mod events;
mod faults;
pub mod finish;
mod floor;
mod ground;
pub mod host;
pub mod lab_plan;
pub mod machine;
mod ours;
mod pipeline;
pub mod plan;
pub mod programs;
mod record;
mod reference;
pub mod repetition;
mod resume;
pub mod sampler;
mod show;
mod strips;
pub mod timer;
mod whole;

pub use cli::RunArgs;
pub use whole::{Interrupted, run, run_file};
