//! The tunnel router: packets out of a TUN device into UDP 4341, and back.
//!
//! Two threads for each queue, one for each way, move packets in batches and share nothing but the
//! forwarding table, which is exchanged as a whole while they run. What is
//! in it comes from the command line, and from the control machine.

mod args;
mod control;
mod count;
mod device;
mod egress;
mod follow;
mod forwarding;
mod held;
mod ingress;
mod launch;
mod mapping_args;
mod mmsg;
mod privileges;
mod probing;
mod reported;
mod seen;
mod sender;
mod sockets;
mod static_map;

pub use args::XtrArgs;
pub use forwarding::Forwarding;
pub use launch::run;
