//! A figure as the templates print it.

use serde::Serialize;

use crate::charts::Alt;

/// A drawing with what it shows in words.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    id: String,
    title: String,
    caption: String,
    svg: String,
}

impl Figure {
    /// Draws a figure with its words, which screen readers say.
    pub(crate) fn new(
        alt: Alt,
        caption: String,
        draw: impl FnOnce(&Alt) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            svg: draw(&alt)?,
            id: alt.id,
            title: alt.title,
            caption,
        })
    }
}
