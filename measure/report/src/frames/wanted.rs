//! What is wanted of results.

use result::Pipeline;

/// What is exported of results.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The pipelines whose frames are wanted; empty for all.
    pub kinds: Vec<Pipeline>,
    /// Take what there is, of results that were not finished and of damaged ones too.
    pub partial: bool,
}

impl Wanted {
    /// Whether frames of this pipeline are wanted.
    pub(super) fn has(&self, kind: Pipeline) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }
}
