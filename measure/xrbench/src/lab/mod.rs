//! `xrbench lab`: the lab of a scenario without its video, to look at and to try things in.

pub mod cli;
mod shell;

pub use cli::LabArgs;
