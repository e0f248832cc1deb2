//! `xrbench run`: a scenario file becomes a folder of results.
//!
//! ```text
//! runner: load -> plan -> for each repetition in turn: course -> read strips -> summary
//! course: place up -> programs start -> first frame -> warm up -> measure, with faults -> programs and place down -> join
//! ```
//!
//! A *run* is the whole of it; a *repetition* is one measurement of one scenario.

pub mod addresses;
mod behind;
mod captures;
pub mod cli;
mod clocks;
mod codecs;
pub mod commands;
mod content;
mod course;
mod cuts;
mod dry;
pub mod events;
mod faults;
pub mod finish;
mod floor;
pub mod host;
mod http;
pub mod machine;
mod named;
pub mod page;
mod pipeline;
mod pipeline_run;
pub mod place;
pub mod plan;
pub mod programs;
mod progress;
mod prometheus;
mod provenance;
mod reference;
pub mod registry;
pub mod repetition;
mod reports;
mod resume;
mod runner;
pub mod sampler;
mod strips;
pub mod timer;
mod unread;

pub use cli::RunArgs;
pub use runner::{Entry, Interrupted, Print, RunOptions, needs_lab, print_plan, run};
