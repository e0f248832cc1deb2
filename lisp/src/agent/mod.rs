//! `xr-lisp agent`: in each cluster, gives Services the address that they have in every cluster, and tells the control plane where
//! they run.
//!
//! `machine` and `admission` decide, as functions of what has happened and when; the others carry that in and out.

mod admission;
mod app;
mod args;
mod bundle;
mod certificates;
mod clock;
mod controller;
mod given;
mod heartbeat;
mod kubelet;
mod machine;
mod metrics;
mod objects;
mod prober;
mod readiness;
mod telling;
mod watch;
mod webhook;
mod work;

pub use app::run;
pub use args::AgentArgs;
pub use given::{GivenArgs, run_given};
pub(crate) use objects::{PROBE_ANNOTATION, SHARED_LABEL};
