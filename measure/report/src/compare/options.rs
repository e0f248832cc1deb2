//! How two results are compared.

use super::tolerance::Tolerance;

/// The strictness of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The largest rise of a p50 that is no regression.
    pub tolerance: Tolerance,
    /// Compare what both have: of unfinished results, what was begun, and nothing of what only A has.
    pub partial: bool,
}
