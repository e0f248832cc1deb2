//! Where a scenario runs, and the supervision of its processes there: started, awaited until they say that they are
//! ready, sampled, restarted, ended. Nothing outlives the process that made a testbed, however that one ends.
//!
//! Two placements: [`Placement::Host`], processes beside the runner on its loopback, and [`Placement::Pod`], processes in a
//! network namespace of a [`local`] lab. The crate reads no wall clock: whoever makes a [`Testbed`] gives it one.

pub mod cgroup;
mod cluster;
mod event;
#[doc(hidden)]
pub mod fuzzing;
pub mod local;
mod log;
pub mod netns;
pub mod pretend;
mod process;
mod ready;
pub mod real_time;
pub mod resources;
mod spec;
mod supervise;
mod tun;
pub mod wan;

pub use cluster::Cluster;
pub use event::{Event, EventKind, Exit};
pub use process::{NotReady, Process, StartError, Testbed};
pub use ready::Ready;
pub use spec::{LineFn, Placement, Spec};
