//! The templates of the pages. A page is one file that needs no network and no script.

use anyhow::Context as _;
use minijinja::{Environment, value::Serde};
use serde::Serialize;

use crate::text::BLANK;

/// Each template is a page or a part of one.
const TEMPLATES: [(&str, &str); 11] = [
    ("report.html", include_str!("report.html")),
    ("compare.html", include_str!("compare.html")),
    ("provision.html", include_str!("provision.html")),
    ("style.css", include_str!("style.css")),
    ("parts.html", include_str!("parts.html")),
    ("latency.html", include_str!("latency.html")),
    ("differences.html", include_str!("differences.html")),
    ("resources.html", include_str!("resources.html")),
    ("frames.html", include_str!("frames.html")),
    ("trust.html", include_str!("trust.html")),
    ("repeat.html", include_str!("repeat.html")),
];

/// Fills a template with what a page says.
pub(crate) fn render(template: &str, page: &impl Serialize) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.add_global("blank", BLANK);
    for (name, text) in TEMPLATES {
        environment
            .add_template(name, text)
            .with_context(|| format!("the template {name} is wrong"))?;
    }
    Ok(environment.get_template(template)?.render(Serde(page))?)
}
