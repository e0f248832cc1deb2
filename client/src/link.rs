//! When to open a session, over which transport, when to give it up, and when to look whether the server still lives.
//!
//! A state machine without a clock or a socket: the driver tells it what happened and what time it is, and does what it
//! answers. Its aim is that a frame is on the screen again within two seconds of a streamer's or a renderer's restart,
//! without throwing away a session that merely waits for its feed.

use std::time::Duration;

use settings::{QUIC_SCHEME, RTSPS_SCHEME, Transport};

/// The transports that the command line allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// UDP, and TCP when no packet comes over UDP; for a stream over TLS, TCP; for one over QUIC, datagrams.
    Auto,
    /// RTP over UDP only.
    Udp,
    /// RTP interleaved with RTSP on its TCP connection only.
    Tcp,
    /// RTP over QUIC, each packet in a datagram.
    QuicDatagram,
    /// RTP over QUIC, each frame on a stream of its own.
    QuicStream,
}

impl Choice {
    /// The transports to try for a URL of this scheme, in this order and then from the first again; none where the transport
    /// is not one of that scheme. RTP over UDP would not be encrypted, whatever RTSP goes over.
    pub fn transports(self, scheme: &str) -> Option<&'static [Transport]> {
        let transports: &[Transport] = match self {
            Self::Auto if scheme == QUIC_SCHEME => &[Transport::QuicDatagram],
            Self::Auto if scheme == RTSPS_SCHEME => &[Transport::Tcp],
            Self::Auto => &[Transport::Udp, Transport::Tcp],
            Self::Udp if scheme == RTSPS_SCHEME => return None,
            Self::Udp => &[Transport::Udp],
            Self::Tcp => &[Transport::Tcp],
            Self::QuicDatagram => &[Transport::QuicDatagram],
            Self::QuicStream => &[Transport::QuicStream],
        };
        (transports[0].is_quic() == (scheme == QUIC_SCHEME)).then_some(transports)
    }
}

/// The transport to try after this one: the next in the list, and after the last the first.
fn next(transport: Transport, list: &[Transport]) -> Transport {
    let mut rest = list.iter().skip_while(|listed| **listed != transport);
    rest.nth(1)
        .or_else(|| list.first())
        .copied()
        .unwrap_or(transport)
}

/// The machine's time limits.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The wait after a first failure; it doubles with each further one.
    pub backoff_start: Duration,
    /// The longest wait between two attempts.
    pub backoff_cap: Duration,
    /// How long a session may be silent before the server is looked at, and how often it is looked at then. Where
    /// several transports may be tried, also how long a new session waits for its first packet before the next one is.
    pub silence: Duration,
    /// How long a silent session of a living server is kept before a new one is tried. It doubles each time.
    pub patience_start: Duration,
    pub patience_cap: Duration,
    /// The wait after a refusal that another try will hardly change, as of the user: rtspsrc gives a wrong password eight times in one
    /// attempt, and servers shut out whoever errs often.
    pub refused: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            backoff_start: Duration::from_millis(50),
            backoff_cap: Duration::from_millis(500),
            silence: Duration::from_secs(1),
            patience_start: Duration::from_secs(4),
            patience_cap: Duration::from_secs(30),
            refused: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// The limits of a client whose jitter buffer holds each packet for `buffer`: nothing is heard of a packet before.
    pub fn behind(buffer: Duration) -> Self {
        let limits = Self::default();
        Self {
            silence: limits.silence + buffer,
            patience_start: limits.patience_start + buffer,
            patience_cap: limits.patience_cap + buffer,
            ..limits
        }
    }
}

/// What the driver must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drop the present session, if there is one, and open another.
    Open(Transport),
    /// Drop the present session: the server is gone.
    Close,
    /// Ask the server, on a connection of its own, whether it lives; then call [`Link::probed`].
    Probe,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No session until then.
    Waiting { until: Duration },
    /// A session is open, or opening.
    Open {
        probe_at: Duration,
        give_up_at: Duration,
        last_life: Duration,
        had_packet: bool,
    },
}

/// The state machine of a client's link to its server. Every time is counted from an origin that the driver chose.
#[derive(Debug)]
pub struct Link {
    policy: Policy,
    transports: &'static [Transport],
    /// The transport of the present or the next session.
    transport: Transport,
    /// Packets have come over `transport` before, so that silence is not its fault.
    proven: bool,
    backoff: Duration,
    patience: Duration,
    /// How long a new session waits for its first packet before the next transport is tried.
    first_packet: Duration,
    state: State,
}

impl Link {
    /// A link that wants to open its first session at once, over the first of `transports`.
    ///
    /// # Panics
    /// When there is no transport.
    pub fn new(transports: &'static [Transport], policy: Policy) -> Self {
        Self {
            policy,
            transports,
            transport: transports[0],
            proven: false,
            backoff: policy.backoff_start,
            patience: policy.patience_start,
            first_packet: policy.silence,
            state: State::Waiting {
                until: Duration::ZERO,
            },
        }
    }

    /// The transport of the present or the next session.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// What is to be done at `now`, if anything.
    pub fn poll(&mut self, now: Duration) -> Option<Action> {
        match self.state {
            State::Waiting { until } if now >= until => Some(self.open(now)),
            State::Open {
                give_up_at,
                had_packet,
                ..
            } if now >= give_up_at => {
                if self.has_another() && !had_packet {
                    self.transport = next(self.transport, self.transports);
                    self.first_packet = (self.first_packet * 2).min(self.policy.patience_cap);
                } else {
                    self.patience = (self.patience * 2).min(self.policy.patience_cap);
                }
                Some(self.open(now))
            }
            State::Open {
                probe_at,
                give_up_at,
                last_life,
                had_packet,
            } if now >= probe_at => {
                let probe_at = now + self.policy.silence;
                self.state = State::Open {
                    probe_at,
                    give_up_at,
                    last_life,
                    had_packet,
                };
                Some(Action::Probe)
            }
            State::Waiting { .. } | State::Open { .. } => None,
        }
    }

    /// Packets came until `at`.
    pub fn packets(&mut self, at: Duration) {
        let State::Open { last_life, .. } = self.state else {
            return;
        };
        // Told again what is known, or of a packet of an earlier session.
        if at <= last_life {
            return;
        }
        self.proven = true;
        self.backoff = self.policy.backoff_start;
        self.patience = self.policy.patience_start;
        self.first_packet = self.policy.silence;
        self.state = State::Open {
            probe_at: at + self.policy.silence,
            give_up_at: at + self.patience,
            last_life: at,
            had_packet: true,
        };
    }

    /// The session ended by itself: refused, not found, the server closed the connection.
    pub fn failed(&mut self, now: Duration) {
        if matches!(self.state, State::Open { .. }) {
            self.wait(now);
        }
    }

    /// The session ended with a refusal that another try will hardly change: of the user, or of what the stream is.
    pub fn refused_for_good(&mut self, now: Duration) {
        if matches!(self.state, State::Open { .. }) {
            self.state = State::Waiting {
                until: now + self.policy.refused,
            };
        }
    }

    /// The answer to [`Action::Probe`]. A dead server's session is dropped, however silent its transport may stay.
    pub fn probed(&mut self, now: Duration, alive: bool) -> Option<Action> {
        let State::Open { last_life, .. } = self.state else {
            return None;
        };
        // Packets that came while the probe was under way say more than the probe does.
        if alive || now < last_life + self.policy.silence {
            return None;
        }
        self.wait(now);
        Some(Action::Close)
    }

    /// The server has the stream, but not over this transport. True if another one may be tried, at once.
    pub fn refused(&mut self, now: Duration) -> bool {
        if !self.has_another() || !matches!(self.state, State::Open { .. }) {
            self.failed(now);
            return false;
        }
        self.wait(now);
        self.transport = next(self.transport, self.transports);
        true
    }

    /// Whether silence may be the transport's fault, and another one may be tried.
    fn has_another(&self) -> bool {
        !self.proven && self.transports.len() > 1
    }

    fn wait(&mut self, now: Duration) {
        self.state = State::Waiting {
            until: now + self.backoff,
        };
        self.backoff = (self.backoff * 2).min(self.policy.backoff_cap);
    }

    fn open(&mut self, now: Duration) -> Action {
        let trying = self.has_another();
        self.state = State::Open {
            probe_at: now + self.policy.silence,
            give_up_at: now
                + if trying {
                    self.first_packet
                } else {
                    self.patience
                },
            last_life: now,
            had_packet: false,
        };
        Action::Open(self.transport)
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
