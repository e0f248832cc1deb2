//! Does what the [`Link`] decides: opens and closes sessions, listens to them, asks the server whether it lives.

use std::thread::JoinHandle;
use std::time::Duration;

use service::{Readiness, Shutdown};
use settings::Transport;
use timeline::UnixMicros;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::incoming::{Ending, probe};
use crate::link::{Action, Link};
use crate::session::{Event, Session, SessionContext, Settings};

/// How often the link is asked: far below its shortest wait.
const TICK: Duration = Duration::from_millis(20);

/// How long the end of the client waits for the server to be told.
const FAREWELL: Duration = Duration::from_millis(400);

/// Keeps a session with the streamer.
#[derive(Debug)]
pub struct Driver {
    /// When to do what.
    pub link: Link,
    /// What every session has in common.
    pub settings: Settings,
    /// The stream, for the probe.
    pub uri: http::Uri,
    /// What a session needs.
    pub context: SessionContext,
    /// What the sessions say.
    pub events: mpsc::Receiver<Event>,
    pub ready: Readiness,
    /// Told of each transport that brought packets.
    pub transport: watch::Sender<Option<Transport>>,
    /// When the first picture came.
    pub first_frame: watch::Receiver<Option<UnixMicros>>,
}

/// What changes while the driver runs.
#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    opened: u64,
    /// The present session has brought packets.
    alive: bool,
    /// Whether any session has been alive.
    ever_alive: bool,
    /// Whether `/ready` says that the client is ready.
    ready: bool,
    /// What was said last, so that a wait of minutes is one line.
    said: Option<String>,
    /// What the server refuses for good. The end of another try says nothing against it, for as long as the server is there.
    refusal: Option<String>,
    last_teardown: Option<JoinHandle<()>>,
}

impl Driver {
    /// Keeps a session until `shutdown`; then the session is closed and no picture follows. The answer is why there is no stream, if that
    /// was said last.
    pub async fn run(mut self, shutdown: Shutdown) -> Option<String> {
        let mut state = State::default();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (answers, mut probes) = mpsc::channel::<(u64, bool)>(4);
        let mut ticks = 0_u64;
        loop {
            tokio::select! {
                biased;
                () = shutdown.fired() => break,
                Some(event) = self.events.recv() => self.hear(&mut state, event),
                Some((session, alive)) = probes.recv() => {
                    if state.session.as_ref().is_some_and(|present| present.number() == session)
                        && self.link.probed(self.now(), alive) == Some(Action::Close)
                    {
                        state.refusal = None;
                        self.end(&mut state, "the streamer is silent and answers no more");
                    }
                }
                _ = tick.tick() => {
                    ticks += 1;
                    self.look(&mut state, ticks.is_multiple_of(25));
                    match self.link.poll(self.now()) {
                        Some(Action::Open(transport)) => self.open(&mut state, transport),
                        Some(Action::Close) => self.end(&mut state, "closed"),
                        Some(Action::Probe) => self.probe(&state, &answers),
                        None => {}
                    }
                }
            }
        }
        if let Some(session) = state.session.take() {
            state.last_teardown = session.close();
        }
        if let Some(teardown) = state.last_teardown {
            // The server is told while the rest drains; a server that does not listen is not waited for.
            let join = tokio::task::spawn_blocking(move || teardown.join());
            let _ = tokio::time::timeout(FAREWELL, join).await;
        }
        state.said
    }

    fn now(&self) -> Duration {
        self.context.origin.elapsed()
    }

    fn open(&mut self, state: &mut State, transport: Transport) {
        self.drop_session(state);
        state.opened += 1;
        match Session::open(state.opened, transport, &self.settings, &self.context) {
            Ok(session) => {
                tracing::debug!(
                    transport = transport.as_str(),
                    session = state.opened,
                    "opening"
                );
                state.session = Some(session);
            }
            Err(error) => {
                self.say(state, &error.to_string());
                self.link.failed(self.now());
            }
        }
    }

    fn hear(&mut self, state: &mut State, event: Event) {
        if let Event::Cause(why) = &event
            && !state.alive
        {
            // Nobody is there: what comes may be another server.
            state.refusal = None;
            self.say(state, why);
        }
        let Some(present) = &state.session else {
            return;
        };
        match event {
            Event::Over(session, ending) if session == present.number() => match ending {
                Ending::Refused => self.refused(state),
                Ending::Denied => self.denied(state),
                Ending::Unreachable(why) => {
                    tracing::debug!(why, "no connection");
                    self.link.failed(self.now());
                    self.drop_session(state);
                    self.find_cause();
                }
                Ending::Unplayable(why) => self.refused_for_good(state, why),
                Ending::Lost(why) => {
                    self.link.failed(self.now());
                    let refusal = state.refusal.clone();
                    if refusal.is_some() {
                        tracing::debug!(why, "another try");
                    }
                    self.end(state, refusal.as_deref().unwrap_or(&why));
                }
            },
            Event::Latency(session) if session == present.number() => present.recalculate_latency(),
            Event::Over(..) | Event::Latency(_) | Event::Cause(_) => {}
        }
    }

    fn refused(&mut self, state: &mut State) {
        let transport = self.link.transport().as_str();
        let remedy = if self.link.refused(self.now()) {
            "trying the next transport"
        } else {
            "allow more with --transport auto"
        };
        let why = format!("the streamer does not send over {transport}; {remedy}");
        self.end(state, &why);
    }

    fn refused_for_good(&mut self, state: &mut State, why: String) {
        self.link.refused_for_good(self.now());
        self.end(state, &why);
        state.refusal = Some(why);
    }

    fn denied(&mut self, state: &mut State) {
        let why = match &self.settings.incoming.user {
            Some(user) => format!(
                "the server refuses the user '{}' or its password (401 Unauthorized): check --user and --password-file",
                user.name
            ),
            None => "the server asks for a user (401 Unauthorized): give --user and --password-file, or XR_PASSWORD"
                .to_owned(),
        };
        self.refused_for_good(state, why);
    }

    /// Looks when the present session's last packet came, and now and then at its jitter buffer.
    fn look(&mut self, state: &mut State, closely: bool) {
        let Some(session) = &mut state.session else {
            return;
        };
        if closely {
            self.context
                .metrics
                .packets_late
                .inc_by(session.late_packets());
        }
        let Some(last) = session.activity().last() else {
            return;
        };
        self.link.packets(last);
        if !state.ready && self.first_frame.borrow().is_some() {
            state.ready = true;
            self.ready.set_ready();
        }
        if state.alive {
            return;
        }
        state.alive = true;
        (state.said, state.refusal) = (None, None);
        if std::mem::replace(&mut state.ever_alive, true) {
            self.context.metrics.reconnects.inc();
        }
        self.context.metrics.playing.set(1);
        let transport = self.link.transport();
        self.transport.send_replace(Some(transport));
        tracing::info!(
            url = self.settings.incoming.url,
            transport = transport.as_str(),
            "playing"
        );
    }

    fn probe(&self, state: &State, answers: &mpsc::Sender<(u64, bool)>) {
        let Some(session) = &state.session else {
            return;
        };
        let (number, answers) = (session.number(), answers.clone());
        let alive = session.alive(self.uri.clone());
        tokio::spawn(async move {
            let alive = alive.await;
            // The driver may have ended.
            let _ = answers.send((number, alive)).await;
        });
    }

    /// Asks why no connection can be made: rtspsrc says of every failed one that it is a "Generic error".
    fn find_cause(&self) {
        let (uri, events) = (self.uri.clone(), self.context.events.clone());
        tokio::spawn(async move {
            if let Some(why) = probe::connect_error(&uri).await {
                // A full queue has worse news.
                let _ = events.try_send(Event::Cause(why));
            }
        });
    }

    fn end(&self, state: &mut State, why: &str) {
        self.drop_session(state);
        self.say(state, why);
    }

    fn drop_session(&self, state: &mut State) {
        if let Some(mut session) = state.session.take() {
            self.context
                .metrics
                .packets_late
                .inc_by(session.late_packets());
            state.last_teardown = session.close();
        }
        state.alive = false;
        self.context.metrics.playing.set(0);
    }

    fn say(&self, state: &mut State, why: &str) {
        state.ready = false;
        self.ready.set_unready(why);
        if state.said.as_deref() == Some(why) {
            tracing::debug!(why, "still waiting");
            return;
        }
        state.said = Some(why.to_owned());
        tracing::warn!(
            url = self.settings.incoming.url,
            why,
            "no stream; trying again until it comes"
        );
    }
}
