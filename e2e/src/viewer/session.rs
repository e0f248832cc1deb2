//! A session that plays, and what came of it; over RTSP here.

use std::sync::Arc;
use std::time::Duration;

use settings::Transport;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::count::Seen;
use super::rtsp::Connection;
use super::shared::Shared;
use super::udp;

/// Between two signs of life; servers drop sessions after 30 or 60 s of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A session that plays. Dropping it closes its connection.
#[derive(Debug)]
pub struct Viewer {
    shared: Arc<Shared>,
    played_at: Instant,
    tasks: Vec<JoinHandle<()>>,
}

impl Viewer {
    /// A session whose packets `tasks` count, and which was asked for at `played_at`.
    pub(super) const fn new(
        shared: Arc<Shared>,
        played_at: Instant,
        tasks: Vec<JoinHandle<()>>,
    ) -> Self {
        Self {
            shared,
            played_at,
            tasks,
        }
    }

    /// Begins to play `url`. What went wrong is a sentence.
    pub async fn play(url: &str, transport: Transport) -> Result<Self, String> {
        let shared = Arc::<Shared>::default();
        let mut connection = Connection::open(url, Arc::clone(&shared)).await?;
        let sockets = match transport {
            Transport::Udp => Some(udp::Pair::bind().map_err(|error| format!("UDP: {error}"))?),
            Transport::Tcp => None,
            Transport::QuicDatagram | Transport::QuicStream => {
                return Err(format!("this viewer speaks RTSP, not {transport}"));
            }
        };
        let media = connection.describe().await?;
        connection
            .setup(&media, sockets.as_ref().map(udp::Pair::ports))
            .await?;
        let mut tasks = Vec::new();
        if let Some(sockets) = sockets {
            tasks.push(tokio::spawn(sockets.run(Arc::clone(&shared))));
        }
        let played_at = Instant::now();
        connection.play().await?;
        tasks.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_ALIVE).await;
                if connection.keep_alive().await.is_err() {
                    return;
                }
            }
        }));
        Ok(Self::new(shared, played_at, tasks))
    }

    /// From the sending of PLAY until the last packet of the first whole key frame; nothing if it does not come in time.
    pub async fn first_picture(&self, patience: Duration) -> Option<Duration> {
        let mut first = self.shared.first_picture.subscribe();
        let at = timeout(patience, first.wait_for(Option::is_some))
            .await
            .ok()?
            .ok()?;
        at.map(|at| at - self.played_at)
    }

    /// What came so far.
    pub fn seen(&self) -> Seen {
        self.shared.count.lock().seen()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
