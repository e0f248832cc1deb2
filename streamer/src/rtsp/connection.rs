//! A connection that the RTSP server has been given, as far as the streamer watches it: by a twin of its socket.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use roq::peer::Peer;

use super::slow::{Meter, received_bytes, unsent_bytes};
use crate::metrics::Dropped;

/// How long a connection may stay open after its last session.
///
/// The server could end it by itself (`post-session-timeout`), but sets up the timer for it without looking whether the
/// connection is ending at that moment on another thread, and then aborts the process (`gst_rtsp_client_finalize`).
const AFTER_SESSIONS: Duration = Duration::from_secs(10);

/// How long a connection may take to its first whole request.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// How long a session may be set up without being played.
const UNPLAYED: Duration = Duration::from_secs(10);

/// Sessions that a connection may have.
const SESSIONS: usize = 4;

/// Requests of a connection that may lack the right password; whoever guesses begins anew.
///
/// Most players need one or two. GStreamer's rtspsrc shows a wrong password eight times in one attempt: with less room than that it would
/// hear of a connection that ends, and not of a password that is wrong.
const DENIALS: u32 = 16;

/// The most bytes of a request, and of what comes beside requests at the start: the server keeps every header of it, in
/// sixteen times as much memory.
const REQUEST_BYTES: u64 = 64 * 1024;

/// What a viewer may send each second beside requests: its RTCP, over TCP.
const RTCP_BYTES_PER_SECOND: u64 = 8 * 1024;

/// Whose connection it is, and how it is reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    /// The peer's own address, whatever the socket's other end is.
    pub(super) peer: SocketAddr,
    /// TLS lies between the peer and the socket.
    pub(super) is_encrypted: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    twin: TcpStream,
    caller: Caller,
    meter: Meter,
    sessions: Sessions,
    begun: Instant,
    /// When the last whole request came, and what had been received by then.
    heard: Option<(Instant, u64)>,
    /// A stream was set up whose packets are interleaved with this connection's requests.
    interleaved: bool,
    /// Requests that were refused for want of a password.
    denials: u32,
    /// The streamer has hung up on this connection.
    leaving: bool,
}

impl Connection {
    /// Watches the connection of `caller`, of which `twin` is a duplicate, from `now` on.
    pub(super) fn new(twin: TcpStream, caller: Caller, now: Instant) -> Self {
        Self {
            twin,
            caller,
            meter: Meter::default(),
            sessions: Sessions::default(),
            begun: now,
            heard: None,
            interleaved: false,
            denials: 0,
            leaving: false,
        }
    }

    pub(super) const fn sessions(&mut self) -> &mut Sessions {
        &mut self.sessions
    }

    /// Whether it carries, or has carried, a stream's packets.
    pub(super) const fn is_interleaved(&self) -> bool {
        self.interleaved
    }

    /// From now on it carries a stream's packets.
    pub(super) const fn interleave(&mut self) {
        self.interleaved = true;
    }

    /// How many sessions it has.
    pub(super) fn session_count(&self) -> usize {
        self.sessions.open.len()
    }

    /// The address of the connection's peer.
    pub(super) const fn peer(&self) -> SocketAddr {
        self.caller.peer
    }

    /// Whether nobody on the way can read it.
    pub(super) const fn is_encrypted(&self) -> bool {
        self.caller.is_encrypted
    }

    /// The host of its peer, alike for IPv4 however the socket calls it.
    pub(super) fn address(&self) -> IpAddr {
        self.caller.peer.ip().to_canonical()
    }

    /// Whom it is counted to.
    pub(super) fn host(&self) -> Peer {
        Peer::of(self.caller.peer.ip())
    }

    /// Notes that a whole request came at `now`.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = Some((now, received_bytes(&self.twin).unwrap_or(0)));
    }

    /// Notes that a request was refused for want of a password; whether another may be tried.
    pub(super) const fn deny(&mut self) -> bool {
        self.denials += 1;
        self.denials < DENIALS
    }

    /// Whether it is to be ended at `now`, and why. `patience` is for viewers on TCP that do not take their packets.
    pub(super) fn overdue(&mut self, now: Instant, patience: Duration) -> Option<Dropped> {
        if self.leaving {
            return None;
        }
        let unsent = unsent_bytes(&self.twin).unwrap_or(0);
        let received = received_bytes(&self.twin).unwrap_or(0);
        let (since, before) = self.heard.unwrap_or((self.begun, 0));
        let waited = now.saturating_duration_since(since);
        let beside = if self.sessions.open.is_empty() {
            0
        } else {
            RTCP_BYTES_PER_SECOND.saturating_mul(waited.as_secs())
        };
        if self.meter.observe(now, unsent, patience) {
            Some(Dropped::slow)
        } else if received.saturating_sub(before) > REQUEST_BYTES + beside {
            Some(Dropped::endless)
        } else if self.denials >= DENIALS {
            Some(Dropped::denied)
        } else if self.heard.is_none() && waited >= FIRST_REQUEST {
            Some(Dropped::silent)
        } else if self.sessions.are_over(now) {
            Some(Dropped::idle)
        } else {
            None
        }
    }

    /// How little would be lost with it when there is no room: more is less. None for one that must stay.
    pub(super) fn dispensable(&self, now: Instant) -> Option<(bool, Duration)> {
        if self.leaving || !self.sessions.open.is_empty() {
            return None;
        }
        let since = self.heard.map_or(self.begun, |(heard, _)| heard);
        Some((self.heard.is_none(), now.saturating_duration_since(since)))
    }

    /// Ends it. The server sees the end and cleans up on the connection's own thread, as if the peer had gone: whatever
    /// else ends a connection of the server's does so on another thread, and the two run into each other.
    pub(super) fn hang_up(&mut self) {
        self.leaving = true;
        // A peer that has gone already is what is wanted.
        let _ = self.twin.shutdown(Shutdown::Both);
    }
}

/// The sessions that were begun over a connection. Pure: time is an argument.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Each with the time by which it must play, until it does.
    open: HashMap<String, Option<Instant>>,
    ended: Option<Instant>,
}

impl Sessions {
    /// Whether there may be another.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < SESSIONS
    }

    /// Whether session `id` is one of these.
    pub(super) fn has(&self, id: &str) -> bool {
        self.open.contains_key(id)
    }

    /// Session `id` begins at `now`.
    pub(super) fn begin(&mut self, id: String, now: Instant) {
        self.open.insert(id, Some(now + UNPLAYED));
        self.ended = None;
    }

    /// Notes that session `id` plays.
    pub(super) fn play(&mut self, id: &str) {
        if let Some(limit) = self.open.get_mut(id) {
            *limit = None;
        }
    }

    /// Session `id` ends, if it is one of these.
    pub(super) fn end(&mut self, id: &str, now: Instant) {
        if self.open.remove(id).is_some() && self.open.is_empty() {
            self.ended = Some(now);
        }
    }

    /// The sessions that were set up long before `now` and do not play.
    pub(super) fn unplayed(&self, now: Instant) -> impl Iterator<Item = &str> {
        let late = move |limit: &Option<Instant>| limit.is_some_and(|limit| now >= limit);
        self.open
            .iter()
            .filter(move |(_, limit)| late(limit))
            .map(|(id, _)| id.as_str())
    }

    /// The ids of all sessions of the connection.
    pub(super) fn into_ids(self) -> impl Iterator<Item = String> {
        self.open.into_keys()
    }

    /// Whether the last one ended so long ago that the connection should end too. Says so once.
    fn are_over(&mut self, now: Instant) -> bool {
        let since = |ended| now.saturating_duration_since(ended) >= AFTER_SESSIONS;
        self.ended.take_if(|ended| since(*ended)).is_some()
    }
}

impl From<Connection> for Sessions {
    fn from(connection: Connection) -> Self {
        connection.sessions
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Whoever has a /64 has more addresses than anybody could count; it still reports from the one that it has.
    #[test]
    fn a_host_is_a_network_of_ipv6_and_its_address_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("an address");
        let connection = |peer: &str| {
            let caller = Caller {
                peer: peer.parse().expect("an address"),
                is_encrypted: false,
            };
            Connection::new(
                TcpStream::connect(to).expect("it listens"),
                caller,
                Instant::now(),
            )
        };
        let (one, other) = (connection("[2001:db8::1]:9"), connection("[2001:db8::2]:9"));
        assert_eq!(one.host(), other.host());
        assert_ne!(one.address(), other.address());
        let (one, other) = (
            connection("[::ffff:192.0.2.1]:9"),
            connection("192.0.2.2:9"),
        );
        assert_ne!(one.host(), other.host());
        assert_eq!(one.address(), IpAddr::from([192, 0, 2, 1]));
    }

    #[test]
    fn a_connection_ends_some_time_after_its_last_session() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        assert!(!sessions.are_over(start + AFTER_SESSIONS), "none began");
        sessions.begin("a".into(), start);
        sessions.begin("b".into(), start);
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
        sessions.begin("a".into(), start);
        sessions.end("a", start);
        sessions.begin("b".into(), start);
        assert!(!sessions.are_over(start + AFTER_SESSIONS));
    }

    #[test]
    fn a_session_that_does_not_play_is_named_and_there_are_few() {
        let start = Instant::now();
        let mut sessions = Sessions::default();
        for id in ["a", "b", "c", "d"] {
            assert!(sessions.has_room());
            sessions.begin(id.into(), start);
        }
        assert!(!sessions.has_room());
        sessions.play("b");
        assert_eq!(sessions.unplayed(start).count(), 0);
        let mut late: Vec<_> = sessions.unplayed(start + UNPLAYED).collect();
        late.sort_unstable();
        assert_eq!(late, ["a", "c", "d"]);
        sessions.end("a", start);
        assert!(sessions.has_room());
    }

    fn connected() -> (TcpStream, Connection, Instant) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (stream, from) = listener.accept().expect("it is there");
        let caller = Caller {
            peer: from,
            is_encrypted: false,
        };
        let now = Instant::now();
        (peer, Connection::new(stream, caller, now), now)
    }

    #[test]
    fn one_that_never_asks_goes_first_and_one_with_a_session_stays() {
        let (_peer, mut connection, start) = connected();
        let later = start + FIRST_REQUEST / 2;
        assert_eq!(
            connection.dispensable(later),
            Some((true, FIRST_REQUEST / 2))
        );
        assert_eq!(connection.overdue(later, Duration::MAX), None);
        let late = connection.overdue(start + FIRST_REQUEST, Duration::MAX);
        assert_eq!(late, Some(Dropped::silent));
        connection.hear(later);
        assert_eq!(connection.dispensable(later), Some((false, Duration::ZERO)));
        assert_eq!(
            connection.overdue(start + 9 * FIRST_REQUEST, Duration::MAX),
            None
        );
        connection.sessions().begin("a".into(), later);
        assert_eq!(connection.dispensable(later), None);
    }

    #[test]
    fn one_that_guesses_passwords_is_ended() {
        let (_peer, mut connection, start) = connected();
        let may_try_again = std::iter::repeat_with(|| connection.deny());
        let tries = may_try_again.take_while(|again| *again).count();
        assert_eq!(tries + 1, DENIALS as usize);
        let ends = connection.overdue(start, Duration::MAX);
        assert_eq!(ends, Some(Dropped::denied));
    }

    #[test]
    fn a_request_without_end_ends_its_connection() {
        use std::io::Write as _;

        let (mut peer, mut connection, start) = connected();
        peer.write_all(&[b'x'; 1000]).expect("sent");
        connection.hear(start);
        let allowed = usize::try_from(REQUEST_BYTES).expect("it is small");
        peer.write_all(&vec![b'x'; allowed + 1]).expect("sent");
        let mut arrived = || connection.overdue(start, Duration::MAX);
        let ends = std::iter::repeat_with(&mut arrived).find_map(|reason| reason);
        assert_eq!(ends, Some(Dropped::endless));
    }
}
