//! Feeds by name: who may feed ([`lease`]), packets into frames ([`assembler`]), what viewers of the name see
//! ([`sequence`], [`parameters`]), where its frames go ([`outlet`]), and the table of all names ([`table`]).

pub mod assembler;
pub mod counters;
pub mod keyframe;
pub mod lease;
pub mod name;
pub mod outlet;
pub mod parameters;
mod relay;
pub mod sequence;
pub mod table;

pub use relay::{Claim, Feed, Settings, Superseded};
