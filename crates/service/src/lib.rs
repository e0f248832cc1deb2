//! What every xrbench process shares: arguments, logs, the ops port, metrics, the way to start and the way to stop.
//!
//! A program's `main` is one call of [`boot::run`]. Its application then builds an [`ops::Ops`], binds it, tells the
//! world through [`ready`], and works until its [`drain::Shutdown`] fires.

pub mod args;
pub mod backoff;
pub mod boot;
pub mod clock;
pub mod descriptors;
pub mod drain;
mod error;
pub mod exit;
pub mod exposition;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod latency;
pub mod logs;
pub mod ops;
mod process;
pub mod ready;
mod secret;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trace;

pub use drain::{EndedEarly, Shutdown};
pub use error::{ConfigError, StartError};
pub use ready::Readiness;
pub use secret::{PasswordArgs, Secret, TokenArgs};
