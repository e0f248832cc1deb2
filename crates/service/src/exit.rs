//! What a process says with its exit code.

/// The work is done, or a signal ended it and everything was drained.
pub const OK: u8 = 0;

/// The program could not start, failed on the way, or did not drain within its grace.
pub const START: u8 = 1;

/// What it was given to read cannot be used: `xrbench compare` of folders that hold no results.
pub const BAD_INPUT: u8 = 3;

/// What was measured does not answer the question: `xrbench compare` of results that are too few or too noisy.
pub const INCONCLUSIVE: u8 = 4;

/// The command line, the environment or a configuration file is wrong (`EX_USAGE` of `sysexits.h`).
pub const USAGE: u8 = 64;
