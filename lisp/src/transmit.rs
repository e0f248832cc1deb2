//! What a state machine wants to be sent.

use std::net::SocketAddr;

/// A datagram to be sent from the control port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}
