//! What measuring costs at 720p60: the stamp's own benchmarks, the time that the client says it takes on each picture, and
//! its processor time with strips and without, in turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::figure::{Bound, Figure};
use super::renderer::render;
use super::viewers::cpu_percent;
use crate::Sandbox;

const FRAMES_A_SECOND: f64 = 60.0;

/// Rounds of both, and how long each is measured.
const ROUNDS: u32 = 6;
const SPAN: Duration = Duration::from_secs(8);

/// What is done for each frame, by the name of its benchmark in `crates/stamp/benches`.
const PARTS: [&str; 4] = [
    "draw_generation",
    "draw_consumption",
    "read_blocks",
    "both strips",
];

pub(super) async fn measure() -> Vec<Figure> {
    let mut figures = Vec::new();
    for part in PARTS {
        let micros = criterion_us(part);
        figures.push(Figure::of(
            format!("stamp, {part}, 720p"),
            micros,
            "us a frame",
        ));
    }
    let [without, with] = strips().await;
    let percent = |micros: f64| micros * FRAMES_A_SECOND / 1e6 * 100.0;
    let drawing = criterion_us(PARTS[0]).map(percent);
    let playing = with.player_us.map(percent);
    let keeping = with.cpu_percent - without.cpu_percent;
    figures.extend([
        Figure::of("renderer, drawing stamps", drawing, "% of a core"),
        Figure::of(
            "client, reading, copying, drawing, cutting strips, queueing",
            playing,
            "% of a core",
        ),
        Figure::of(
            "client in all, without strips",
            without.cpu_percent,
            "% of a core",
        ),
        Figure::of(
            "client in all, with every strip",
            with.cpu_percent,
            "% of a core",
        ),
    ]);
    // Cutting a strip stands in both terms, so this is the most that it can be.
    let most = drawing
        .zip(playing)
        .map(|(drawing, playing)| drawing + playing + keeping.max(0.0));
    let what = "stamping, reading and keeping strips at 720p60";
    figures.push(Figure::of(what, most, "% of a core").within(Bound::AtMost(3.0)));
    figures
}

/// What a client takes.
#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu_percent: f64,
    /// The mean time that the client itself takes on a picture, in microseconds, as its summary says.
    player_us: Option<f64>,
}

/// The client without and with strips: medians of alternating rounds.
async fn strips() -> [Cost; 2] {
    let sandbox = Sandbox::new();
    let streamer = sandbox.streamer(&[]).await;
    let _renderer = render(&sandbox, &streamer, &[]).await;
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (with, costs) in costs.iter_mut().enumerate() {
            let folder = sandbox
                .path(&format!("strips-{round}"))
                .display()
                .to_string();
            let args = ["--json", "--strips", &*folder];
            let args = if with == 1 { &args[..] } else { &args[..1] };
            let client = sandbox.client(&streamer.rtsp_url("feed"), args).await;
            client.shows(60, Duration::from_secs(30)).await;
            let cpu_percent = cpu_percent(&client, SPAN).await;
            let said = client.terminate().await.said;
            let summary = said
                .last()
                .and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let player_us = summary.and_then(|summary| summary["player_us"].as_f64());
            costs.push(Cost {
                cpu_percent,
                player_us,
            });
        }
    }
    costs.map(|mut costs| {
        costs.sort_by(|a, b| a.cpu_percent.total_cmp(&b.cpu_percent));
        let [low, high] = [costs[costs.len() / 2 - 1], costs[costs.len() / 2]];
        Cost {
            cpu_percent: f64::midpoint(low.cpu_percent, high.cpu_percent),
            player_us: low
                .player_us
                .zip(high.player_us)
                .map(|(low, high)| f64::midpoint(low, high)),
        }
    })
}

/// The mean of a benchmark of `cargo bench -p stamp`, in microseconds; nothing where it has not been run.
fn criterion_us(part: &str) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let file = target
        .join("criterion/stamp_720p")
        .join(part)
        .join("new/estimates.json");
    let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(estimates["mean"]["point_estimate"].as_f64()? / 1000.0)
}
