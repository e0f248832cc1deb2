//! Who plays what, by RTSP session or QUIC connection, and from where they may report on it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use settings::Transport;

use crate::feed::name::FeedName;
use crate::metrics::Metrics;

/// A session that plays.
#[derive(Clone, Debug)]
struct Viewer {
    feed: FeedName,
    transport: Transport,
    /// The RTSP connection that controls it.
    connection: Option<u64>,
}

/// The sessions that play. Bounded by the session pool's limit.
#[derive(Clone, Debug)]
pub struct Viewers {
    playing: Arc<Mutex<HashMap<String, Viewer>>>,
    /// Where viewers on UDP send RTCP from, by session.
    reporting: Arc<Mutex<HashMap<String, SocketAddr>>>,
    metrics: Metrics,
}

impl Viewers {
    /// A table without viewers.
    pub fn new(metrics: Metrics) -> Self {
        Self {
            playing: Arc::default(),
            reporting: Arc::default(),
            metrics,
        }
    }

    /// `session` is set up, and sends RTCP from `address`.
    pub fn reports_from(&self, session: String, address: SocketAddr) {
        self.reporting.lock().insert(session, address);
    }

    /// Whether some viewer sends RTCP from `address`.
    pub fn is_reporting(&self, address: SocketAddr) -> bool {
        self.reporting
            .lock()
            .values()
            .any(|known| *known == address)
    }

    /// `session` is over.
    pub fn end(&self, session: &str) {
        self.reporting.lock().remove(session);
        self.stop(session);
    }

    /// `session` plays `feed`; with RTSP it was set up over `connection`.
    pub fn play(
        &self,
        session: String,
        feed: FeedName,
        transport: Transport,
        connection: Option<u64>,
    ) {
        let mut playing = self.playing.lock();
        playing.insert(
            session,
            Viewer {
                feed,
                transport,
                connection,
            },
        );
        self.count(&playing);
    }

    /// `session` plays no more.
    pub fn stop(&self, session: &str) {
        let mut playing = self.playing.lock();
        playing.remove(session);
        self.count(&playing);
    }

    /// `connection` is closed, and what it controlled has ended. Gives the feed that it played.
    pub fn close(&self, connection: u64) -> Option<FeedName> {
        let mut playing = self.playing.lock();
        let mut feed = None;
        playing.retain(|_, viewer| {
            let stays = viewer.connection != Some(connection);
            if !stays {
                feed = Some(viewer.feed.clone());
            }
            stays
        });
        self.count(&playing);
        feed
    }

    /// How many play `feed`.
    pub fn of(&self, feed: &FeedName) -> usize {
        self.playing
            .lock()
            .values()
            .filter(|viewer| &viewer.feed == feed)
            .count()
    }

    fn count(&self, playing: &HashMap<String, Viewer>) {
        for transport in Transport::ALL {
            let count = playing
                .values()
                .filter(|viewer| viewer.transport == transport)
                .count();
            self.metrics.set_viewers(transport, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_ends_with_its_session_or_its_connection() {
        let viewers = Viewers::new(Metrics::default());
        let feed = FeedName::new("x").unwrap();
        viewers.play("a".into(), feed.clone(), Transport::Udp, Some(1));
        viewers.play("b".into(), feed.clone(), Transport::Tcp, Some(2));
        viewers.play("b".into(), feed.clone(), Transport::Tcp, Some(2));
        assert_eq!(viewers.of(&feed), 2);
        viewers.stop("a");
        assert_eq!(viewers.of(&feed), 1);
        assert_eq!(viewers.close(2), Some(feed.clone()));
        assert_eq!(viewers.close(2), None);
        assert_eq!(viewers.of(&feed), 0);
    }

    #[test]
    fn reports_come_from_where_a_session_said() {
        let viewers = Viewers::new(Metrics::default());
        let address = SocketAddr::from(([10, 0, 0, 1], 5005));
        viewers.reports_from("a".into(), address);
        assert!(viewers.is_reporting(address));
        assert!(!viewers.is_reporting(SocketAddr::from(([10, 0, 0, 1], 5007))));
        viewers.stop("a");
        assert!(
            viewers.is_reporting(address),
            "one that pauses still reports"
        );
        viewers.end("a");
        assert!(!viewers.is_reporting(address));
    }
}
