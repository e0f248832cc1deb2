//! What a process says with its exit code.

/// The work is done, or a signal ended it and everything was drained.
pub const OK: u8 = 0;

/// It could not start, failed on the way, or did not drain within its grace.
pub const START: u8 = 1;

/// The command line, the environment or a configuration file is wrong (`EX_USAGE` of `sysexits.h`).
pub const USAGE: u8 = 64;
