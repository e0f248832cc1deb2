//! A figure as the templates print it.

use serde::Serialize;

/// A drawing with what it shows in words.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub id: String,
    pub title: String,
    pub caption: String,
    pub svg: String,
}
