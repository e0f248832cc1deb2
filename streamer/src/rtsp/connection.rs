//! A connection that the RTSP server has been given, as far as the streamer watches it: by a twin of its socket.

use std::collections::HashSet;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::slow::{Meter, unsent_bytes};
use crate::metrics::Dropped;

/// How long a connection may stay open after its last session.
///
/// The server could end it by itself (`post-session-timeout`), but sets up the timer for it without looking whether the
/// connection is ending at that moment on another thread, and then aborts the process (`gst_rtsp_client_finalize`).
const AFTER_SESSIONS: Duration = Duration::from_secs(10);

/// An RTSP connection and the sessions on it.
#[derive(Debug)]
pub(super) struct Connection {
    twin: TcpStream,
    meter: Meter,
    sessions: Sessions,
}

impl Connection {
    /// Watches the connection of which `twin` is a duplicate.
    pub(super) fn new(twin: TcpStream) -> Self {
        Self {
            twin,
            meter: Meter::default(),
            sessions: Sessions::default(),
        }
    }

    pub(super) const fn sessions(&mut self) -> &mut Sessions {
        &mut self.sessions
    }

    /// The peer's address, if the peer is still there.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.twin.peer_addr().ok()
    }

    /// Whether it is to be ended at `now`, and why. `patience` is for viewers on TCP that do not take their packets.
    pub(super) fn overdue(&mut self, now: Instant, patience: Duration) -> Option<Dropped> {
        let unsent = unsent_bytes(&self.twin).unwrap_or(0);
        if self.meter.observe(now, unsent, patience) {
            self.meter = Meter::default();
            Some(Dropped::slow)
        } else if self.sessions.are_over(now) {
            Some(Dropped::idle)
        } else {
            None
        }
    }

    /// Ends the connection. The server sees the end and cleans up on the connection's own thread, as if the peer had gone:
    /// whatever else ends a connection of the server's does so on another thread, and the two run into each other.
    pub(super) fn hang_up(&self) {
        // A peer that has gone already is what is wanted.
        let _ = self.twin.shutdown(Shutdown::Both);
    }
}

/// The sessions that were begun over a connection. Pure: time is an argument.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    open: HashSet<String>,
    ended: Option<Instant>,
}

impl Sessions {
    /// Notes that a session begins.
    pub(super) fn begin(&mut self, id: String) {
        self.open.insert(id);
        self.ended = None;
    }

    /// Session `id` ends, if it is one of these.
    pub(super) fn end(&mut self, id: &str, now: Instant) {
        if self.open.remove(id) && self.open.is_empty() {
            self.ended = Some(now);
        }
    }

    /// Whether the last one ended so long ago that the connection should end too. Says so once.
    fn are_over(&mut self, now: Instant) -> bool {
        let since = |ended| now.saturating_duration_since(ended) >= AFTER_SESSIONS;
        self.ended.take_if(|ended| since(*ended)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_some_time_after_its_last_session() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        assert!(!sessions.are_over(start + AFTER_SESSIONS), "none began");
        sessions.begin("a".into());
        sessions.begin("b".into());
        sessions.end("a", start);
        sessions.end("of another", start);
        assert!(!sessions.are_over(start + AFTER_SESSIONS), "b goes on");
        sessions.end("b", start);
        sessions.end("b", start + AFTER_SESSIONS);
        assert!(!sessions.are_over(start));
        assert!(sessions.are_over(start + AFTER_SESSIONS));
        assert!(!sessions.are_over(start + AFTER_SESSIONS), "once");
    }

    #[test]
    fn a_new_session_keeps_it() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        sessions.begin("a".into());
        sessions.end("a", start);
        sessions.begin("b".into());
        assert!(!sessions.are_over(start + AFTER_SESSIONS));
    }
}
