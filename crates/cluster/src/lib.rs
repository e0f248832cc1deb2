//! Where a scenario runs on Kubernetes: its manifests rendered, checked against the cluster, applied, awaited, read and
//! deleted.
//!
//! ```text
//! connect -> preflight (every fault at once) -> render (kubectl kustomize) -> apply -> await -> ... -> remove
//!                                                    | objects: pure changes     | follow logs, forward a port, usage,
//!                                                                                | cut off, drain
//! ```
//!
//! What is deployed is the folder `k8s/`, rendered; nothing is deployed from texts of this crate. Each object has the label
//! [`RUN_LABEL`], and what has no such label is never touched.

#![warn(missing_docs)]

mod apply;
pub mod cadvisor;
mod connect;
mod cut;
mod drain;
mod fault;
mod forward;
mod logs;
mod objects;
pub mod preflight;
mod remove;
mod render;
mod server;
mod state;
mod usage;
mod wait;
mod watching;

pub use connect::Cluster;
pub use drain::{Cordoned, PodOnNode};
pub use fault::{Fault, Faults, told};
pub use forward::{Forward, Part};
pub use objects::{Objects, RUN_LABEL, WORKLOAD_LABEL};
pub use remove::Leftover;
pub use render::{Images, MANIFESTS, Overlay, Rendering};
pub use server::{Access, Flags, Server};
pub use usage::{ContainerUsage, NodeUsage, PodContainer, Usage};
