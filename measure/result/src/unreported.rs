//! What clients could not report.

use serde::{Deserialize, Serialize};

/// Frames of a client of which no report came that counts: they are neither known to be shown nor to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unreported {
    /// Reports that the client made and could not send.
    pub skipped: u64,
    /// Reports of times that cannot be.
    pub implausible: u64,
}

impl Unreported {
    /// Of both kinds together.
    pub const fn all(self) -> u64 {
        self.skipped.saturating_add(self.implausible)
    }

    /// Adds the counts of `more` to these, each up to the largest number that there is.
    pub const fn add(&mut self, more: Self) {
        self.skipped = self.skipped.saturating_add(more.skipped);
        self.implausible = self.implausible.saturating_add(more.implausible);
    }

    /// Returns what was counted after `before` was.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            skipped: self.skipped.saturating_sub(before.skipped),
            implausible: self.implausible.saturating_sub(before.implausible),
        }
    }
}
