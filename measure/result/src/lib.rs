//! A result as data: where its files are, and what they say.
//!
//! Every subcommand meets the others here. It knows of no process, no lab and no media: what was measured by others is put
//! into its structs by them.

#![warn(missing_docs)]

mod calibration;
mod clock;
pub mod date;
mod folder;
mod frames;
pub mod kept;
mod lock;
pub mod machine;
pub mod provision;
mod repetition;
pub mod rows;
mod run;
mod state;
mod unlike;
mod unreported;
mod version;

pub use calibration::{Calibration, Fit, Hold, MAX_RESIDUAL_US, MAX_SLOPE_ERROR, Step};
pub use clock::{ClockCheck, ClockMeta, ClockSource, MAX_SLEW_PPM};
pub use folder::{
    RepetitionFolder, RunFolder, cannot_write, part_of, read_json, write_atomic, write_json,
};
pub use frames::{FrameRows, settle};
pub use lock::{FolderError, FolderLock};
pub use machine::Machine;
pub use repetition::{
    ContentMeta, FabricMeta, NodeMeta, OverlayBackend, ProcessInfo, RepetitionMeta, ResourcesMeta,
    TooBig, TunnelBackend, WanBackend, WanMeta,
};
pub use run::{PlannedRepetition, RunInfo, RunState, ScenarioInfo, command};
pub use settings::{Pipeline, Presentation};
pub use state::MachineState;
pub use unlike::{Unlike, unlike};
pub use unreported::Unreported;
pub use version::{OLDEST_READ, RUN_VERSION, is_read};
