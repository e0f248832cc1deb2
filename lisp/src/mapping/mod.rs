//! Mappings as an ITR uses them: which locator a packet goes to, and how long that is known.

mod cache;
mod choice;

pub use cache::{MapCache, Mapping};
pub use choice::choose;
