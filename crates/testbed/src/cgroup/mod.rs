//! Control groups for a lab: a group for each cluster and one for each pod in it, where the machine lets us, so that what a
//! cluster uses can be counted and limited.
//!
//! ```text
//! xrbench-<pid>/  cluster-a/<pod>  cluster-b/<pod>  fabric/<role>
//! ```
//!
//! The same folders are made in the unified hierarchy, or in each older one that has a controller of interest. Where there
//! is none, everything here still works, counts nothing, and says why.

mod group;
mod hierarchy;
mod make;
mod model;
mod remove;
#[cfg(test)]
mod tests;
mod tree;

pub use group::Group;
pub(crate) use hierarchy::parse;
pub use hierarchy::{CONTROLLERS_V1, CONTROLLERS_V2, folders, name, serving};
pub use model::{Limits, Missing, Part, Version};
pub(crate) use remove::left_over;
pub use remove::remove;
pub use tree::Tree;
