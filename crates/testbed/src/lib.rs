//! Where a scenario runs, and the supervision of its processes there: started, awaited until they say that they are
//! ready, sampled, restarted, ended. Nothing outlives the process that made a testbed, however that one ends.
//!
//! The one placement so far is [`Placement::Host`]: processes of this host, on loopback. The crate reads no wall clock:
//! whoever makes a [`Testbed`] gives it one.

pub mod local;
mod log;
mod process;
mod ready;
pub mod resources;
mod spec;
mod supervise;
pub mod wan;

pub use process::{Event, EventKind, Exit, NotReady, Process, StartError, Testbed};
pub use ready::Ready;
pub use spec::{LineFn, Placement, Spec};
