//! What a service says of itself on its ops port.

use std::net::SocketAddr;
use std::time::Duration;

use timeline::{Point, TracePage, UnixMicros};
use tokio::time::{Instant, sleep};

/// How often [`until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` sees what it wants, and gives it back.
///
/// # Panics
/// If it does not within `patience`; the message says `what` was awaited.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            start.elapsed() < patience,
            "waited {patience:?} in vain for: {what}"
        );
        sleep(LOOK_EVERY).await;
    }
}

/// A service's ops port.
#[derive(Clone, Debug)]
pub struct Ops {
    addr: SocketAddr,
    http: reqwest::Client,
}

impl Ops {
    /// The ops port at `addr`.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            http: reqwest::Client::new(),
        }
    }

    /// Status and body of `path`, or nothing while the port cannot be reached.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self
            .http
            .get(format!("http://{}{path}", self.addr))
            .send()
            .await
            .ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    /// The value of a metric line, named with its labels as `/metrics` prints it; the sum if labels are left out.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await?;
        let values = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let is_it =
                    series == name || series.split_once('{').is_some_and(|(bare, _)| bare == name);
                is_it.then(|| value.parse::<f64>().ok()).flatten()
            });
        values.reduce(|sum, value| sum + value)
    }

    pub async fn trace(&self, after: u64) -> Option<TracePage> {
        let (_, body) = self
            .get(&format!("/trace?after={after}&limit=10000"))
            .await?;
        serde_json::from_str(&body).ok()
    }

    /// When the first frame passed `point` at or after `since`.
    ///
    /// # Panics
    /// If none does within `patience`.
    pub async fn passed(&self, point: Point, since: UnixMicros, patience: Duration) -> UnixMicros {
        let mut after = 0;
        until(
            &format!("a frame that passes {point:?}"),
            patience,
            async || {
                let page = self.trace(after).await?;
                after = page.next;
                page.crossings
                    .iter()
                    .find(|c| c.point == point && c.at >= since)
                    .map(|c| c.at)
            },
        )
        .await
    }
}
