//! How two results are compared.

use super::tolerance::Tolerance;

/// What is compared, and how strictly.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// By how much a p50 may rise.
    pub tolerance: Tolerance,
    /// Compare what both have: of unfinished results, what was begun, and nothing of what only A has.
    pub partial: bool,
}
