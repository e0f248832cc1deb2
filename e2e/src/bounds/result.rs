//! The bounds that stand in a result of `scenarios/one-machine.toml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::figure::{Bound, Figure};
use super::sampler;
use crate::{binary, run};

/// The scenario takes six minutes, and reading its strips some more.
const RUN_PATIENCE: Duration = Duration::from_mins(30);

pub(super) async fn measure(given: Option<&Path>) -> Vec<Figure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e lies in the workspace");
    let made;
    let folder = if let Some(folder) = given {
        folder
    } else {
        made = make(root).await;
        &made
    };
    let bytes = std::fs::read(folder.join("summary.json")).expect("a result has a summary.json");
    let summary: Value = serde_json::from_slice(&bytes).expect("summary.json is JSON");
    let find = |name: &str| {
        let all = summary["scenarios"].as_array();
        all.and_then(|all| all.iter().find(|one| one["name"] == name))
            .cloned()
            .unwrap_or(Value::Null)
    };
    let mut figures = Vec::new();
    for name in ["ours-udp-720p60", "ours-tcp-720p60"] {
        figures.extend(ours(name, &find(name), name.contains("udp")));
        figures.extend(sampler::cost(folder, name));
    }
    figures.extend(against_reference(
        &find("ours-udp-360p25"),
        &find("reference-360p25"),
        &find("reference-tuned-360p25"),
    ));
    figures
}

async fn make(root: &Path) -> PathBuf {
    let out = root
        .join("results")
        .join(format!("bench-{}", service::clock::now()));
    let scenario = root.join("scenarios/one-machine.toml");
    run(
        binary("xrbench"),
        &[Path::new("run"), &scenario, Path::new("--out"), &out],
        RUN_PATIENCE,
    )
    .await
    .well();
    out
}

/// A number at `path` of a scenario of the summary.
fn number(of: &Value, path: &str) -> Option<f64> {
    of.pointer(path).and_then(Value::as_f64)
}

fn percent(part: Option<f64>, whole: Option<f64>) -> Option<f64> {
    part.zip(whole.filter(|whole| *whole > 0.0))
        .map(|(part, whole)| part / whole * 100.0)
}

/// One pipeline beside its floor. Bounds are set on UDP; TCP is printed.
fn ours(name: &str, scenario: &Value, is_bound: bool) -> Vec<Figure> {
    let over = |pipeline: &str, floor: &str| {
        number(scenario, pipeline)
            .zip(number(scenario, floor))
            .map(|(ours, floor)| (ours - floor) / 1000.0)
    };
    let scheduled = number(scenario, "/frames/scheduled");
    let undisturbed = number(scenario, "/undisturbed/frames/scheduled");
    let read = number(scenario, "/ocr/frames").zip(number(scenario, "/ocr/unread"));
    let complete = number(scenario, "/points/complete_share").map(|share| share * 100.0);
    let gap = number(scenario, "/floor_us/codec_gap").map(|us| us / 1000.0);
    let all = [
        (
            Figure::of(format!("{name}, frames with every point"), complete, "%"),
            Bound::AtLeast(99.9),
        ),
        (
            Figure::of(
                format!("{name}, the floor's p50 from its encode and decode"),
                gap,
                "ms",
            ),
            Bound::AtMost(1.0),
        ),
        (
            Figure::of(
                format!("{name}, frames shown"),
                number(scenario, "/frames/shown"),
                "frames",
            ),
            Bound::AtLeast(5000.0),
        ),
        (
            Figure::of(
                format!("{name}, p50 above the floor's"),
                number(scenario, "/floor_us/gap/difference").map(|us| us / 1000.0),
                "ms",
            ),
            Bound::AtMost(1.5),
        ),
        (
            Figure::of(
                format!("{name}, p90 above the floor's, undisturbed"),
                over("/undisturbed/latency_us/p90", "/floor_us/p90"),
                "ms",
            ),
            Bound::AtMost(6.0),
        ),
        (
            Figure::of(
                format!("{name}, generated of scheduled"),
                percent(number(scenario, "/frames/generated"), scheduled),
                "%",
            ),
            Bound::AtLeast(99.5),
        ),
        (
            Figure::of(
                format!("{name}, lost of all"),
                percent(number(scenario, "/frames/lost"), scheduled),
                "%",
            ),
            Bound::AtMost(0.5),
        ),
        (
            Figure::of(
                format!("{name}, lost, undisturbed"),
                percent(number(scenario, "/undisturbed/frames/lost"), undisturbed),
                "%",
            ),
            Bound::AtMost(0.1),
        ),
        (
            Figure::of(
                format!("{name}, OCR read of strips"),
                percent(
                    read.map(|(frames, unread)| frames - unread),
                    read.map(|read| read.0),
                ),
                "%",
            ),
            Bound::AtLeast(99.0),
        ),
        (
            Figure::of(
                format!("{name}, OCR against blocks"),
                number(scenario, "/ocr/disagree"),
                "disagree",
            ),
            Bound::AtMost(0.0),
        ),
    ];
    all.into_iter()
        .map(|(figure, bound)| {
            if is_bound {
                figure.within(bound)
            } else {
                figure
            }
        })
        .collect()
}

fn against_reference(ours: &Value, reference: &Value, tuned: &Value) -> Vec<Figure> {
    let p50 = |of: &Value| number(of, "/latency_us/p50");
    let ratio = |of: &Value| p50(ours).zip(p50(of)).map(|(ours, theirs)| theirs / ours);
    let overloaded = |of: &Value| {
        of["overloaded"]
            .as_bool()
            .map(|overloaded| f64::from(u8::from(overloaded)))
    };
    vec![
        Figure::of(
            "reference-360p25, frames read",
            number(reference, "/latency_us/count"),
            "frames",
        )
        .within(Bound::AtLeast(1000.0)),
        Figure::of("reference-360p25, overloaded", overloaded(reference), "")
            .within(Bound::AtMost(0.0)),
        Figure::of(
            "ours-udp-360p25, p50",
            p50(ours).map(|us| us / 1000.0),
            "ms",
        ),
        Figure::of(
            "reference-360p25, p50",
            p50(reference).map(|us| us / 1000.0),
            "ms",
        ),
        Figure::of(
            "reference-tuned-360p25, p50",
            p50(tuned).map(|us| us / 1000.0),
            "ms",
        ),
        Figure::of("the reference's p50 over ours", ratio(reference), "x")
            .within(Bound::AtLeast(40.0)),
        Figure::of("the tuned reference's p50 over ours", ratio(tuned), "x")
            .within(Bound::AtLeast(1.0 / 0.6)),
    ]
}
