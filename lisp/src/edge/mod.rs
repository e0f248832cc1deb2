//! The control plane of an xTR: it registers what is here, asks for what is elsewhere, and hears of changes.
//!
//! The machine has no socket and no clock. [`Control::handle`] takes a datagram of the control port, [`Control::want`] a packet's
//! destination that has no mapping, [`Control::on_time`] the time that [`Control::next_time`] asked for. [`Control::poll_transmit`]
//! gives what is to be sent, [`Control::poll_event`] what the data plane has to know.

mod answering;
mod config;
mod control;
mod event;
mod hearing;
mod locals;
mod moves;
mod moving;
mod requests;
mod subscribed;
#[cfg(test)]
mod tests;

pub use config::EdgeConfig;
pub use control::Control;
pub use event::{Event, Ignored};
