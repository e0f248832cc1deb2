//! The bounds of the two-cluster labs: the instrument's calibration, scenarios that are alike, and one that is 2 ms slower.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::figure::{Bound, Figure};
use crate::{Sandbox, binary, run};

/// Seven delays or six scenarios, several repetitions of each.
const RUN_PATIENCE: Duration = Duration::from_mins(40);

/// Scenarios that are alike: each two of them are an A/A pair, and five make ten.
const ALIKE: usize = 5;

/// Repetitions of each. A p50 differs from one to the next by a millisecond where others use the machine too: with twelve the
/// half-width was 0.7 ms there, and 0.3 ms of what is carried.
const RUNS: u32 = 24;

/// What is put on the WAN in one direction, in milliseconds.
const SLOWER_MS: f64 = 2.0;

pub(super) async fn calibration() -> Vec<Figure> {
    let sandbox = Sandbox::new();
    let out = sandbox.path("calibration");
    let args = ["calibrate", "--json", "--out", &out.to_string_lossy()].map(ToOwned::to_owned);
    let finished = run(binary("xrbench"), &args, RUN_PATIENCE).await;
    // Exit 1 says that a bound is missed, which the figures say too.
    let found: Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("{error}: {finished}"));
    let number = |path: &str| found.pointer(path).and_then(Value::as_f64);
    let margin = |path: &str| number(path).unwrap_or(0.0);
    let slope = number("/fit/slope")
        .map(|slope| ((slope - 1.0).abs() + margin("/fit/slope_margin")) * 100.0);
    let residual = number("/fit/worst_residual_us")
        .map(|us| (us + margin("/fit/residual_margin_us")) / 1000.0);
    let holds = found["holds"].as_array().cloned().unwrap_or_default();
    let waits = ["renderer", "client"].map(|role| {
        let hold = holds.iter().find(|hold| hold["role"] == role);
        let number = |key: &str| hold.and_then(|hold| hold[key].as_f64());
        let error_us =
            || Some((number("found_us")? - number("set_us")?).abs() + number("margin_us")?);
        let what = format!("calibration, error of a known wait at the {role}'s stamps at most");
        Figure::of(what, error_us().map(|us| us / 1000.0), "ms").within(Bound::AtMost(0.3))
    });
    let mut figures = vec![
        Figure::of("calibration, slope's distance from 1 at most", slope, "%")
            .within(Bound::AtMost(1.0)),
        Figure::of(
            "calibration, residual of a delay's p50 at most",
            residual,
            "ms",
        )
        .within(Bound::AtMost(0.3)),
    ];
    figures.extend(waits);
    figures
}

pub(super) async fn pairs() -> Vec<Figure> {
    let sandbox = Sandbox::new();
    let file = sandbox.path("pairs.toml");
    std::fs::write(&file, scenarios()).expect("written");
    let out = sandbox.path("pairs");
    let args = [
        Path::new("run"),
        &file,
        Path::new("--out"),
        &out,
        Path::new("--no-ocr"),
    ];
    run(binary("xrbench"), &args, RUN_PATIENCE).await.well();
    let bytes = std::fs::read(out.join("summary.json")).expect("a result has a summary.json");
    let summary: Value = serde_json::from_slice(&bytes).expect("summary.json is JSON");
    let differences = summary["differences"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let is_alike = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("alike-"));
    let (alike, slower): (Vec<&Value>, Vec<&Value>) = differences
        .iter()
        .partition(|one| is_alike(&one["a"]) && is_alike(&one["b"]));
    let mut figures = vec![
        Figure::of("pairs of alike scenarios", alike.len() as f64, "pairs"),
        Figure::of("pairs that 2 ms one way part", slower.len() as f64, "pairs"),
    ];
    for (of, key) in [("p50", "p50_us"), ("carried", "carried_us")] {
        let called = |all: &[&Value]| {
            let different = all.iter().filter(|one| one[key]["distinguishable"] == true);
            different.count() as f64
        };
        let ci = |one: &Value, at: usize| one[key]["ci"][at].as_f64();
        let beyond_zero = alike
            .iter()
            .filter(|one| ci(one, 0) > Some(0.0) || ci(one, 1) < Some(0.0))
            .count() as f64;
        let half_width = slower
            .iter()
            .filter_map(|one| Some((ci(one, 1)? - ci(one, 0)?) / 2000.0))
            .fold(0.0, f64::max);
        let off = slower
            .iter()
            .filter_map(|one| one[key]["difference"].as_f64())
            .map(|us| (us.abs() / 1000.0 - SLOWER_MS).abs())
            .fold(0.0, f64::max);
        let figure = |what: &str, value, unit| Figure::of(format!("{of}: {what}"), value, unit);
        figures.extend([
            figure("alike, called different", called(&alike), "pairs").within(Bound::AtMost(1.0)),
            figure("alike, 95 % intervals beyond zero", beyond_zero, "pairs"),
            figure("2 ms, called different", called(&slower), "pairs")
                .within(Bound::AtLeast(ALIKE as f64)),
            figure("2 ms, widest half-width", half_width, "ms").within(Bound::AtMost(0.5)),
            figure("2 ms, furthest from it", off, "ms"),
        ]);
    }
    figures
}

/// s2 of scenarios/quick.toml as often as it must be, and once with more delay from the streamer to the client.
fn scenarios() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e lies in the workspace");
    let video = root.join("media/bigbuckbunny.mp4");
    let mut text = format!(
        "schema = 1\nname = \"pairs\"\n[defaults]\nsource = \"file:{}\"\nsize = \"1280x720\"\nfps = 30\nbitrate = \"4M\"\n\
         transport = \"tcp\"\nwarmup = \"1s\"\nduration = \"5s\"\nruns = {RUNS}\nfabric = \"liqo\"\nocr = {{ max_frames = 0 }}\n",
        video.display()
    );
    for number in 1..=ALIKE {
        text.push_str(&format!(
            "[[scenario]]\nname = \"alike-{number}\"\nwan = {{ preset = \"local\" }}\n"
        ));
    }
    text.push_str(
        "[[scenario]]\nname = \"slower\"\nwan = { preset = \"local\", b_to_a = { delay = \"2250us\" } }\n",
    );
    text
}
