//! Many viewers of one feed: what each misses, and what each costs the streamer.

use std::time::Duration;

use testbed::resources;
use tokio::time::{Instant, sleep};

use super::figure::{Bound, Figure};
use super::renderer::render;
use crate::{Sandbox, Seen, Service, Transport, Viewer};

/// How many watch, one measurement each.
const STEPS: [usize; 4] = [0, 5, 10, 20];

/// How long each step is measured.
const SPAN: Duration = Duration::from_secs(15);

pub(super) async fn measure() -> Vec<Figure> {
    let sandbox = Sandbox::new();
    let mut figures = Vec::new();
    for (transport, name) in [(Transport::Udp, "UDP"), (Transport::Tcp, "TCP")] {
        let streamer = sandbox.streamer(&[]).await;
        let renderer = render(&sandbox, &streamer, &[]).await;
        figures.extend(steps(&streamer, transport, name).await);
        drop(renderer);
    }
    figures
}

async fn steps(streamer: &Service, transport: Transport, name: &str) -> Vec<Figure> {
    let url = streamer.rtsp_url("feed");
    crate::until("the feed", Duration::from_secs(30), async || {
        Viewer::play(&url, transport).await.ok()
    })
    .await;
    let (mut viewers, mut costs, mut figures) = (Vec::new(), Vec::new(), Vec::new());
    for count in STEPS {
        while viewers.len() < count {
            let viewer = Viewer::play(&url, transport).await.expect("a session");
            assert!(
                viewer
                    .first_picture(Duration::from_secs(10))
                    .await
                    .is_some(),
                "a viewer sees nothing"
            );
            viewers.push(viewer);
        }
        let (cpu, seen) = span(streamer, &viewers).await;
        costs.push(cpu);
        figures.push(Figure::of(
            format!("streamer with {count} viewers over {name}"),
            cpu,
            "% of a core",
        ));
        if count == STEPS[STEPS.len() - 1] {
            let worst = seen
                .iter()
                .map(|seen| seen.loss() * 100.0)
                .fold(0.0, f64::max);
            let least = seen.iter().map(|seen| seen.bytes).min().unwrap_or(0);
            let megabits = least as f64 * 8.0 / SPAN.as_secs_f64() / 1e6;
            figures.push(
                Figure::of(
                    format!("{count} viewers over {name}, packets missed by the worst"),
                    worst,
                    "%",
                )
                .within(Bound::AtMost(0.1)),
            );
            figures.push(Figure::of(
                format!("{count} viewers over {name}, received by the least"),
                megabits,
                "Mbit/s",
            ));
        }
    }
    let added = (costs[STEPS.len() - 1] - costs[0]) / STEPS[STEPS.len() - 1] as f64;
    figures.push(Figure::of(
        format!("streamer, each added viewer over {name}"),
        added,
        "% of a core",
    ));
    figures
}

/// The streamer's processor time over a while, in percent of a core, and what each viewer saw meanwhile.
pub(super) async fn span(streamer: &Service, viewers: &[Viewer]) -> (f64, Vec<Seen>) {
    let before: Vec<Seen> = viewers.iter().map(Viewer::seen).collect();
    let cpu = cpu_percent(streamer, SPAN).await;
    let seen = viewers
        .iter()
        .zip(before)
        .map(|(viewer, before)| viewer.seen().since(before));
    (cpu, seen.collect())
}

/// What a process uses over `span`, in percent of a core.
pub(super) async fn cpu_percent(service: &Service, span: Duration) -> f64 {
    let pid = service.process().pid().expect("it runs");
    let ticks =
        || resources::sample(pid).map_or(0, |sample| sample.user_ticks + sample.system_ticks);
    let (start, before) = (Instant::now(), ticks());
    sleep(span).await;
    let used_s = ticks().saturating_sub(before) as f64 / resources::ticks_hz() as f64;
    used_s / start.elapsed().as_secs_f64() * 100.0
}
