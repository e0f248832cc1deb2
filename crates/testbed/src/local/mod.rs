//! Two clusters on this machine, from network namespaces.

pub mod plan;
pub mod topology;
