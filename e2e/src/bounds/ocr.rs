//! Tesseract in workers against one process a strip, as `xrbench ocr --bench` measures both in turn.

use std::time::Duration;

use super::figure::{Bound, Figure};
use crate::{binary, run};

pub(super) async fn measure() -> Vec<Figure> {
    let said = run(
        binary("xrbench"),
        &["ocr", "--bench", "--json"],
        Duration::from_mins(10),
    )
    .await
    .well();
    let rates: serde_json::Value =
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in {said}"));
    let rate = |key: &str| rates[key].as_f64();
    vec![
        Figure::of(
            "OCR in workers",
            rate("pool_strips_per_s"),
            "strips a second",
        ),
        Figure::of(
            "OCR, one tesseract process a strip",
            rate("process_strips_per_s"),
            "strips a second",
        ),
        Figure::of("OCR, the first over the second", rate("ratio"), "x")
            .within(Bound::AtLeast(20.0)),
        Figure::of("OCR, undamaged strips read", rate("read_percent"), "%")
            .within(Bound::AtLeast(99.0)),
    ]
}
