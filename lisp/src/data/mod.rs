//! The data plane as functions of bytes: what goes around a packet into the tunnel, and what comes off behind it (RFC 9300).
//!
//! Nothing here opens a socket, reads a clock or keeps state between packets. Every function takes any bytes.

pub mod checksum;
pub mod decap;
pub mod encap;
pub mod header;
pub mod icmp;
pub mod mtu;
pub mod outer;
pub mod packet;
pub mod table;
pub mod tos;

#[cfg(test)]
mod tests;
