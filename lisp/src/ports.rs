//! The two ports of LISP.

/// UDP port of tunnelled packets (RFC 9300 section 5.3).
pub const DATA_PORT: u16 = 4341;

/// UDP port of control messages (RFC 9301 section 5).
pub const CONTROL_PORT: u16 = 4342;
