//! SIGKILL and restart of each of the three: from the new process's start to the next distinct frame shown. That frame has
//! been generated after the start, so that nothing which was under way at the kill counts as recovery.

use std::time::Duration;

use timeline::{Point, RtpTimestamp, UnixMicros};

use super::figure::{Bound, Figure, percentile};
use super::renderer::render;
use crate::{Sandbox, Service, until};

const KILLS: u32 = 20;

/// A recovery that takes longer fails the whole measurement.
const PATIENCE: Duration = Duration::from_mins(1);

struct Trio {
    streamer: Service,
    renderer: Service,
    client: Service,
}

pub(super) async fn measure() -> Vec<Figure> {
    let sandbox = Sandbox::new();
    let streamer = sandbox.streamer(&[]).await;
    let renderer = render(&sandbox, &streamer, &[]).await;
    let client = sandbox
        .client(&streamer.rtsp_url("feed"), &["--transport", "udp"])
        .await;
    let mut trio = Trio {
        streamer,
        renderer,
        client,
    };
    let mut figures = Vec::new();
    for victim in ["renderer", "streamer", "client"] {
        let mut took = Vec::new();
        for kill in 0..KILLS {
            trio.client.shows(60, PATIENCE).await;
            // Kills at all places of the group of pictures.
            tokio::time::sleep(Duration::from_millis(u64::from(kill * 97 % 1000))).await;
            let start;
            (trio, start) = trio.kill(victim).await;
            took.push(recovery(&trio.client, start).await);
        }
        let what = |name| {
            format!("{victim} killed and restarted, start to next frame shown, {name} of {KILLS}")
        };
        figures.extend([
            Figure::of(what("p50"), percentile(&took, 50), "s"),
            Figure::of(what("p95"), percentile(&took, 95), "s").within(Bound::AtMost(2.0)),
            Figure::of(what("max"), percentile(&took, 100), "s"),
        ]);
    }
    figures
}

impl Trio {
    /// Kills and restarts one of the three; gives back when the new process was started.
    async fn kill(mut self, victim: &str) -> (Self, UnixMicros) {
        let start;
        match victim {
            "renderer" => {
                self.renderer = self.renderer.kill_and_restart().await;
                start = self.renderer.process().started_at();
            }
            "streamer" => {
                self.streamer = self.streamer.kill_and_restart().await;
                start = self.streamer.process().started_at();
            }
            _ => {
                self.client = self.client.kill_and_restart().await;
                start = self.client.process().started_at();
            }
        }
        (self, start)
    }
}

/// From `start` until the client shows a frame that was generated later.
async fn recovery(client: &Service, start: UnixMicros) -> Duration {
    let (ops, key) = (client.ops(), RtpTimestamp::from_generated(start));
    let mut after = 0;
    let shown = until("the next frame shown", PATIENCE, async || {
        let page = ops.trace(after).await?;
        after = page.next;
        let next = page
            .crossings
            .iter()
            .filter(|crossing| crossing.point == Point::Decoded);
        next.filter(|crossing| crossing.rtp_timestamp.ticks_since(key) > 0)
            .map(|crossing| crossing.at)
            .min()
    })
    .await;
    Duration::from_micros(u64::try_from(shown.micros_since(start)).unwrap_or(0))
}
