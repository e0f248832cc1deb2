//! One check of the machine: what was found, and for what lacks, the cost and the remedy.

use serde::Serialize;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// Runs are possible, at a cost.
    Lacking,
    /// No run is possible.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    pub found: String,
    /// What the lack costs; empty if there is none.
    pub cost: &'static str,
    /// What to do about it; empty if nothing need be done.
    pub remedy: String,
}

/// What is said of a thing that lacks: the cost, and the remedy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lack {
    pub(super) cost: &'static str,
    pub(super) remedy: &'static str,
}

impl Check {
    /// A thing that is as it should be.
    pub(super) fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Good,
            found: found.into(),
            cost: "",
            remedy: String::new(),
        }
    }

    /// A thing that is as it should be if `good`, and costs something if not.
    pub(super) fn wish(
        name: &'static str,
        good: bool,
        found: impl Into<String>,
        lack: Lack,
    ) -> Self {
        let found = found.into();
        if good {
            return Self::good(name, found);
        }
        Self {
            name,
            verdict: Verdict::Lacking,
            found,
            cost: lack.cost,
            remedy: lack.remedy.to_owned(),
        }
    }

    /// A check of a thing without which there is no run.
    pub(super) fn need(
        name: &'static str,
        good: bool,
        found: impl Into<String>,
        lack: Lack,
    ) -> Self {
        let mut check = Self::wish(name, good, found, lack);
        if check.verdict == Verdict::Lacking {
            check.verdict = Verdict::Missing;
        }
        check
    }
}
