//! A key of a scenario whose value cannot be.

use settings::without_secrets;

/// A key whose value cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct CheckError {
    /// The key in the scenario: `renderer.gop`.
    pub key: String,
    /// The key's value; empty where the key is missing.
    pub value: String,
    /// The reason for the refusal, and what would be right.
    pub why: String,
}

/// Why a value of a scenario may hold no password: it becomes an argument of a process, and stands in the result.
pub(super) const HOLDS_A_PASSWORD: &str = "it holds a user or a password, which process lists and the result would show; \
     let the source ask for none, or have it passed on by a process of your own";

impl CheckError {
    pub(super) fn new(
        key: impl Into<String>,
        value: &impl ToString,
        why: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            value: without_secrets(&value.to_string()).into_owned(),
            why: why.into(),
        }
    }
}
