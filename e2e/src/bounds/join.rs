//! From PLAY to the first whole key frame, of a feed whose key frames are ten seconds apart.

use std::time::Duration;

use super::figure::{Bound, Figure, percentile};
use super::renderer::render;
use crate::{Sandbox, Transport, Viewer};

const JOINS: u32 = 20;

/// What never comes within this long counts as that long.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn measure() -> Vec<Figure> {
    let sandbox = Sandbox::new();
    let streamer = sandbox.streamer(&[]).await;
    let _renderer = render(&sandbox, &streamer, &["--gop", "600"]).await;
    let client = sandbox.client(&streamer.rtsp_url("feed"), &[]).await;
    client.shows(60, PATIENCE).await;
    let mut took = Vec::new();
    for join in 0..JOINS {
        let transport = if join % 2 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let viewer = Viewer::play(&streamer.rtsp_url("feed"), transport)
            .await
            .expect("a session");
        took.push(viewer.first_picture(PATIENCE).await.unwrap_or(PATIENCE));
        // Joins at all places between two key frames, and none helped by the one before it.
        tokio::time::sleep(Duration::from_millis(500 + u64::from(join) * 37)).await;
    }
    let what = |name| format!("late joiner, --gop 600, PLAY to first picture, {name} of {JOINS}");
    vec![
        Figure::of(what("p50"), percentile(&took, 50), "s"),
        Figure::of(what("p95"), percentile(&took, 95), "s").within(Bound::AtMost(0.5)),
        Figure::of(what("max"), percentile(&took, 100), "s"),
    ]
}
