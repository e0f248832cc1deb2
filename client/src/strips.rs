//! Strips: crops of both stamp lines, kept for OCR after the run, so that OCR never runs in the streaming path.
//!
//! A directory holds `strips-00000.pgm` and so on, each up to a thousand images one after another, and `index.csv` with
//! what the blocks said of each. The streaming thread only crops; a thread writes, behind a bounded queue whose
//! overflow is counted.

mod select;
mod write;

pub use select::Selection;
pub use write::{Keeper, Strip, Writer};
