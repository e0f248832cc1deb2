//! `xrbench provision`: how long Cluster API takes to bring up clusters, as the first paper's Figure 4 asks.
//!
//! ```text
//! matrix (TOML) -> cells x repetitions, in a drawn order
//!   each: template -> manifests -> apply -> watches -> transitions -> delete -> rows of the folder -> report
//! simulate: a provider that walks the objects through their conditions, at drawn times, on a real API server
//! ```
//!
//! Each object has the label [`LABEL`]; what has no such label is never changed or deleted.

mod clean;
pub mod cli;
mod management;
mod matrix;
mod observe;
mod one;
mod preflight;
mod run;
mod simulate;
mod template;

/// The label that each object of an experiment has; its value is the experiment's id.
pub const LABEL: &str = "xrbench.io/provision";
