//! The accept loop and one task a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use futures::future::{self, Either};
use hyper::Request;
use hyper::body::Incoming;
use hyper::http::Extensions;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::TaskTracker;

use super::pace::Pace;
use super::problem::Problem;
use super::slots::{Slot, Slots, Taken};
use super::watched::{RequestBody, Stream, until_answered};
use super::wire::{Plain, Wire};
use crate::{Shutdown, StartError};

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Requests a second over all connections: a hundred clients that report ten times a second take half of it.
///
/// What tells whether the program lives has no turn to wait for as the first request of its connection, so that no crowd that asks for
/// page after page keeps a supervisor waiting.
const PER_SECOND: u32 = 2000;

/// How many of them may come at once.
const BURST: u32 = 200;

/// Refused connections that are told so at a time; any more are just closed.
const FAREWELLS: usize = 32;

/// The bounds of one server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most connections that are open at once. Each costs up to [`Limits::buffer_bytes`] and a few kilobytes more.
    pub connections: usize,
    /// The longest that a handshake of TLS may take.
    pub handshake: Duration,
    /// The time in which a client must have sent the whole head of a request, and the longest a connection may idle
    /// between two requests.
    pub header_timeout: Duration,
    /// The longest head of a request. A longer one is answered 431.
    pub header_bytes: usize,
    /// The read buffer of a connection, at least 8192 bytes; a slow handler of a body holds at most this much.
    pub buffer_bytes: usize,
    /// The longest that a peer may neither send the body that it began nor take what it is answered: each kilobyte must
    /// move in this time.
    pub stall: Duration,
    /// How long requests in flight may go on after the shutdown.
    pub drain: Duration,
    /// Paths that, as the first request of a connection, wait for no turn, however many requests come: those that tell
    /// whether the program lives.
    pub urgent: &'static [&'static str],
    /// Where connections are counted.
    pub counters: Connections,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            handshake: Duration::from_secs(5),
            header_timeout: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            buffer_bytes: 64 * 1024,
            stall: Duration::from_secs(10),
            drain: Duration::from_secs(2),
            urgent: &[],
            counters: Connections::default(),
        }
    }
}

/// What becomes of a server's connections.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    open: Gauge,
    accepted: Counter,
    evicted: Counter,
    stalled: Counter,
    refused: Counter,
    paced: Counter,
}

impl Connections {
    /// Registers them as `xr_http_connections` and so on; `listener` tells the servers of one process apart.
    pub fn register(&self, registry: &mut Registry, listener: &'static str) {
        let registry = registry.sub_registry_with_label(("listener".into(), listener.into()));
        registry.register(
            "xr_http_connections",
            "Open HTTP connections",
            self.open.clone(),
        );
        registry.register(
            "xr_http_connections_accepted",
            "HTTP connections accepted",
            self.accepted.clone(),
        );
        registry.register(
            "xr_http_connections_evicted",
            "Connections that were silent, idle or did not keep up, and made room for another",
            self.evicted.clone(),
        );
        registry.register(
            "xr_http_connections_stalled",
            "Connections closed because their peer neither sent nor took what it was waited for",
            self.stalled.clone(),
        );
        registry.register(
            "xr_http_connections_refused",
            "Connections closed because every one was in use",
            self.refused.clone(),
        );
        registry.register(
            "xr_http_requests_paced",
            "Requests that waited for their turn, because too many came",
            self.paced.clone(),
        );
    }
}

/// Listens on `address`, which came from `origin`, as in `--http (XR_HTTP)`.
pub fn listen(address: SocketAddr, origin: &str) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A restart must not wait for the last connections of its predecessor to leave TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    listen().map_err(|source| StartError::from_listen(address, origin, source))
}

/// Serves `router` until `shutdown` fires, then lets requests in flight finish within [`Limits::drain`].
///
/// Handlers may extract `ConnectInfo<SocketAddr>`.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: Shutdown) {
    serve_on(listener, Plain, router, limits, shutdown).await;
}

/// As [`serve`], on what `wire` makes of each connection.
pub(super) async fn serve_on<W: Wire>(
    listener: TcpListener,
    wire: W,
    router: Router,
    limits: Limits,
    shutdown: Shutdown,
) {
    let slots = Slots::new(limits.connections);
    let tasks = TaskTracker::new();
    let cut = Shutdown::new();
    let server = Arc::new(Server {
        wire,
        http: builder(&limits),
        router: TowerToHyperService::new(router),
        counters: limits.counters,
        handshake: limits.handshake,
        stall: limits.stall,
        urgent: limits.urgent,
        slots: Arc::clone(&slots),
        farewells: Arc::new(Semaphore::new(FAREWELLS)),
        pace: Mutex::new(Pace::new(PER_SECOND, BURST, Instant::now())),
        shutdown: shutdown.clone(),
        cut: cut.clone(),
    });
    loop {
        let accepted = tokio::select! {
            () = shutdown.fired() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Some(slot) = server.admit(peer) {
                    tasks.spawn(Arc::clone(&server).connection(stream, peer, slot));
                } else if let Ok(place) = Arc::clone(&server.farewells).try_acquire_owned() {
                    tasks.spawn(async move {
                        let _place = place;
                        W::refuse(stream, &crowded()).await;
                    });
                }
            }
            Err(error) => wait_after(&error).await,
        }
    }
    drop(listener);
    tasks.close();
    let drained = shutdown.grace("http connections", limits.drain, tasks.wait());
    if drained.await.is_none() {
        cut.begin();
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.buffer_bytes.max(8192))
        .keep_alive(true);
    http
}

struct Server<W> {
    wire: W,
    http: http1::Builder,
    router: TowerToHyperService<Router>,
    counters: Connections,
    handshake: Duration,
    stall: Duration,
    urgent: &'static [&'static str],
    slots: Arc<Slots>,
    /// Refused connections that are still being told so.
    farewells: Arc<Semaphore>,
    pace: Mutex<Pace>,
    shutdown: Shutdown,
    /// Fires when the grace is over.
    cut: Shutdown,
}

impl<W: Wire> Server<W> {
    fn admit(&self, peer: SocketAddr) -> Option<Slot> {
        let slot = match self.slots.take() {
            Taken::Free(slot) => slot,
            Taken::Evicted(slot) => {
                self.counters.evicted.inc();
                slot
            }
            Taken::Full => {
                self.counters.refused.inc();
                tracing::debug!(%peer, "connection refused: all are in use");
                return None;
            }
        };
        self.counters.accepted.inc();
        self.count_open();
        Some(slot)
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        // Only a peer that is gone already refuses the option, and then the next read says so.
        let _ = stream.set_nodelay(true);
        let opening = async {
            if W::HAS_HANDSHAKE {
                self.turn().await;
            }
            let opened = tokio::time::timeout(self.handshake, self.wire.open(stream));
            opened.await.ok()
        };
        let opened = tokio::select! {
            opened = opening => opened,
            () = slot.evicted() => None,
            // Nothing was asked on it yet, so that nothing is lost.
            () = self.shutdown.fired() => None,
        };
        match opened {
            Some(Ok((stream, known))) => self.requests(stream, &known, peer, &slot).await,
            Some(Err(error)) => tracing::debug!(%peer, %error, "no handshake"),
            None => tracing::debug!(%peer, "the handshake was cut off"),
        }
        drop(slot);
        self.count_open();
    }

    async fn requests(&self, stream: W::Stream, known: &Extensions, peer: SocketAddr, slot: &Slot) {
        let mark = Arc::clone(slot.mark());
        let handle = service_fn(|request: Request<Incoming>| async move {
            let is_urgent = self.urgent.contains(&request.uri().path());
            if slot.has_spoken() || !is_urgent {
                self.turn().await;
            }
            let in_flight = slot.begin_request();
            let mut request = request.map(|inner| {
                let mark = Arc::clone(slot.mark());
                Body::new(RequestBody { inner, mark })
            });
            request.extensions_mut().extend(known.clone());
            request.extensions_mut().insert(ConnectInfo(peer));
            let answer = if request.headers().contains_key(header::ORIGIN) {
                Either::Left(future::ready(Ok(no_web_pages().into_response())))
            } else {
                Either::Right(self.router.call(request))
            };
            answer.await.map(|answer| until_answered(answer, in_flight))
        });
        let stream = Stream {
            inner: stream,
            mark: Arc::clone(&mark),
        };
        let mut connection =
            std::pin::pin!(self.http.serve_connection(TokioIo::new(stream), handle));
        let mut looks = tokio::time::interval(LOOK.min(self.stall));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut draining = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%peer, %error, "connection ended");
                    }
                    break;
                }
                () = self.shutdown.fired(), if !draining => {
                    connection.as_mut().graceful_shutdown();
                    draining = true;
                }
                () = slot.evicted() => break,
                _ = looks.tick() => if mark.waited() >= self.stall {
                    self.counters.stalled.inc();
                    tracing::debug!(%peer, "connection closed: its peer neither sends nor takes what it should");
                    break;
                },
                () = self.cut.fired() => break,
            }
        }
    }

    /// Waits while more requests come than should be worked on. Who waits here makes room as one that idles.
    async fn turn(&self) {
        let turn = self.pace.lock().take(Instant::now());
        if let Some(turn) = turn {
            self.counters.paced.inc();
            tokio::time::sleep_until(turn).await;
        }
    }

    fn count_open(&self) {
        self.counters
            .open
            .set(i64::try_from(self.slots.open()).unwrap_or(i64::MAX));
    }
}

/// The answer to a request that a browser's page made, which is refused: none of our clients sends an `Origin`, and a page of
/// somebody else's must not feed, post or read through its visitor.
fn no_web_pages() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "web pages are not served",
        "the request has an Origin header, which browsers add for a page of another site",
        "ask from a program, such as curl, not from a page",
    )
}

/// The answer to a connection that is not taken.
fn crowded() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many connections",
        "every connection of this server is in use",
        "close connections that are not needed, or try again later",
    )
}

/// Some errors of `accept` are the peer's; the others, such as too many open files, go away only with time.
async fn wait_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections; is `ulimit -n` too low?");
    tokio::time::sleep(Duration::from_millis(200)).await;
}
