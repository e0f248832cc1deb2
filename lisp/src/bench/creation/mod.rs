//! `xr-lisp bench creation`: how long a shared Service takes from its creation until it is registered, on an API server that runs.

mod args;
mod event_log;
mod figures;
mod measure;
mod moments;
mod played;
mod programs;
mod webhooks;

pub(crate) use args::CreationArgs;
pub(crate) use measure::run;
