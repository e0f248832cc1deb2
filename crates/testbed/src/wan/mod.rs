//! The WAN between two clusters: what each direction does to a packet.
//!
//! [`netem`] says it to the kernel where the kernel can, [`link`] does it in a process of ours elsewhere. Both do the same
//! with one exception: netem limits the rate behind the delay, the link before it.

mod describe;
pub mod link;
mod model;
pub mod netem;
pub mod preset;

pub use model::{Direction, Jitter, Loss, MAX_DELAY, NotPossible, Wan};
pub use preset::{PRESETS, Preset, UnknownPreset};
