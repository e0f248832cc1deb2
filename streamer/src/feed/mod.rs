//! Feeds by name: who may feed ([`lease`]), packets into frames ([`assembler`]), what viewers of the name see
//! ([`sequence`], [`parameters`]), and the table of all names ([`table`]).

pub mod assembler;
pub mod keyframe;
pub mod lease;
pub mod name;
pub mod parameters;
mod relay;
pub mod sequence;
pub mod table;

pub use relay::{Claim, Feed, Settings, Stream, Superseded};
