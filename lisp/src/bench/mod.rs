//! `xr-lisp bench data`: what the tunnel costs, measured beside no tunnel and other people's tunnels on one machine.
//!
//! Client, two tunnel routers with a network between them, and a pod are namespaces on this kernel. Every repetition measures each
//! contender once, in an order that rotates, so that whatever else the machine does meets all of them alike.

mod args;
mod contender;
pub mod ends;
pub mod ground;
mod load;
mod measure;
pub mod pingpong;
mod table;

pub use args::BenchArgs;
pub use measure::run;
