//! Assembly: everything built, bound, run, drained.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use roq::identity::Pin;
use roq::listen::{Limits as QuicLimits, Listener};
use roq::transport::Tuning;
use service::http::{self, Limits};
use service::ops::Ops;
use service::trace::Traces;
use service::{Shutdown, descriptors, ready};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::rustls::ServerConfig;

use crate::args::{
    Args, HTTP_ORIGIN, MAX_CONNECTIONS_ORIGIN, QUIC_ORIGIN, RTSP_ORIGIN, RTSPS_ORIGIN,
};
use crate::expiry::{self, Rounds};
use crate::feed::lease::State;
use crate::feed::table::Table;
use crate::feed::{Feed, Settings};
use crate::ingest::door::Ingest;
use crate::ingest::routes::router;
use crate::metrics::Metrics;
use crate::quic::server::Serving;
use crate::rtsp::accept::Arrivals;
use crate::rtsp::bounds::Bounds;
use crate::rtsp::factory::Options;
use crate::rtsp::ports::Ports;
use crate::rtsp::server::Server;
use crate::rtsp::tls::Tls;
use crate::rtsp::viewers::Viewers;

/// Crossings kept of each name: two minutes at 60 frames a second, two points each, in 400 kB.
const TRACE_CROSSINGS: usize = 1 << 14;

/// A connection to the feeds has one, one to the RTSP port two.
const DESCRIPTORS_EACH: u64 = 3;

/// One to the RTSPS port has four: the peer's, the RTSP server's, what lies between, and what that is watched by.
const DESCRIPTORS_EACH_WITH_RTSPS: u64 = 5;

/// What a viewer over QUIC may be sent before its first acknowledgement: a key frame of 720p.
const QUIC_WINDOW_BYTES: u32 = 256 * 1024;

/// How often states are looked at and slow viewers are looked for.
const TICK: Duration = Duration::from_millis(100);

/// How long connections may take to end after the signal.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs the streamer until `shutdown` fires.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    args.check()?;
    let (token, credentials) = (args.feed_token()?, args.credentials()?);
    let tls = args.tls.server()?;
    let each = match args.rtsps {
        None => DESCRIPTORS_EACH,
        Some(_) => DESCRIPTORS_EACH_WITH_RTSPS,
    };
    descriptors::check(MAX_CONNECTIONS_ORIGIN, args.max_connections, each)?;
    media::init()?;
    let mut ops = Ops::new("xr-streamer");
    let traces = Traces::new(TRACE_CROSSINGS);
    ops.traces = Some(traces.clone());
    let (ready, metrics) = (ops.ready.clone(), Metrics::register(&mut ops.registry));
    let limits = Limits {
        connections: args.max_connections,
        drain: DRAIN,
        ..Limits::default()
    };
    limits.counters.register(&mut ops.registry, "feeds");

    let http = http::listen(args.http, HTTP_ORIGIN)?;
    let rtsp = listen_rtsp(&args, tls.as_deref())?;
    let quic = listen_quic(&args, &metrics)?;
    let (http_address, rtsp_addresses) = (http.local_addr()?, rtsp.addresses()?);
    let ops_address = args.common.ops.context("--ops has a default")?;
    let ops = ops.bind(ops_address, &shutdown).await?;

    let (table, viewers) = parts(&args, &metrics, traces);
    let server = Server::new(
        Arc::clone(&table),
        viewers.clone(),
        metrics.clone(),
        options(&args),
        bounds(&args),
        credentials,
    );
    let (opened, names) = mpsc::unbounded_channel();
    let ingest = Ingest {
        table: Arc::clone(&table),
        viewers: viewers.clone(),
        metrics: metrics.clone(),
        opened,
        token,
        shutdown: shutdown.clone(),
    };
    let door = ingest.clone();
    let arrivals = Arrivals::new(server.clone(), args.max_connections);
    let mut accepting = tokio::spawn(rtsp.accept(arrivals, shutdown.clone()));
    let is_encrypted = tls.is_some();
    let serving = http::serve_either(http, tls, router(ingest), limits, shutdown.clone());
    let mut serving = tokio::spawn(serving);
    let mut serving_quic = quic.as_ref().map(|(listener, _)| {
        let patience = Duration::from_millis(u64::from(args.latency.quic_stale_ms));
        let serving = Serving::new(door, patience);
        // It ends with the shutdown, and its connections with the listener.
        tokio::spawn(serving.run(listener.clone()))
    });
    let mut mounting = tokio::spawn(mount_names(names, server.clone()));
    let rounds = Rounds::default();
    let (expiring, mut expired) =
        expiry::start(server.clone(), rounds.clone()).context("starting a thread for sessions")?;
    let forget = Duration::from_secs(u64::from(args.forget_s));
    let mut keeping = tokio::spawn(keep_house(
        table,
        viewers,
        metrics,
        server.clone(),
        forget,
        rounds,
    ));

    ready.set_ready();
    let mut said = vec![
        ("ops", ops.local_addr().to_string()),
        ("http", http_address.to_string()),
    ];
    said.extend(rtsp_addresses.iter().cloned());
    if let Some((listener, pin)) = &quic {
        let quic_address = listener.local_addr()?;
        said.push(("quic", quic_address.to_string()));
        said.push(("quic_pin", pin.to_string()));
        tracing::info!(%quic_address, %pin, "serving RTP over QUIC");
    }
    ready::announce("xr-streamer", &said);
    tracing::info!(%http_address, tls = is_encrypted, ?rtsp_addresses, "serving");

    let mut needed = vec![
        ("the ports for RTSP", &mut accepting),
        ("the port of the feeds", &mut serving),
        ("what serves new names", &mut mounting),
        ("what ends sessions", &mut expired),
        ("house-keeping", &mut keeping),
    ];
    needed.extend(serving_quic.as_mut().map(|task| ("the QUIC port", task)));
    shutdown.fired_while(&mut needed).await?;
    let quic = quic.map(|(listener, _)| listener);
    drain(server, quic, accepting, serving, &shutdown).await;
    keeping.abort();
    mounting.abort();
    drop(expiring);
    ops.stop().await;
    Ok(())
}

fn parts(args: &Args, metrics: &Metrics, traces: Traces) -> (Arc<Table>, Viewers) {
    let settings = Settings {
        stall: Duration::from_millis(u64::from(args.stall_ms)),
        keyframe_window: Duration::from_millis(u64::from(args.keyframe_ms)),
        traces,
    };
    let table = Arc::new(Table::new(args.max_feeds, settings, metrics.names.clone()));
    (table, Viewers::new(metrics.clone()))
}

fn options(args: &Args) -> Options {
    Options {
        sync: args.latency.rtp_sync,
        latency_ms: args.latency.factory_latency_ms,
        udp_send_buffer: args.udp_send_buffer,
        udp_ports: args.udp_ports.map(|range| (range.low, range.high)),
    }
}

fn bounds(args: &Args) -> Bounds {
    Bounds {
        sessions: args.max_viewers,
        sessions_per_peer: args.max_viewers_per_peer,
        session_timeout: Duration::from_secs(u64::from(args.session_timeout_s)),
        slow: Duration::from_millis(u64::from(args.slow_ms)),
    }
}

/// The ports for RTSP, of which that over TLS shows the certificate of `tls`.
fn listen_rtsp(args: &Args, tls: Option<&ServerConfig>) -> anyhow::Result<Ports> {
    let plain = http::listen(args.rtsp, RTSP_ORIGIN)?;
    let tls = args.rtsps.zip(tls).map(|(address, config)| {
        let listener = http::listen(address, RTSPS_ORIGIN)?;
        anyhow::Ok((listener, Tls::new(config)))
    });
    let tls = tls.transpose()?;
    Ok(Ports { plain, tls })
}

/// The port for RTP over QUIC, where one is wanted, and what viewers know it by.
fn listen_quic(args: &Args, metrics: &Metrics) -> anyhow::Result<Option<(Listener, Pin)>> {
    let Some(address) = args.quic else {
        return Ok(None);
    };
    let identity = args.identity.identity()?;
    let tuning = Tuning {
        congestion: args.latency.quic_congestion,
        initial_window_bytes: QUIC_WINDOW_BYTES,
    };
    let limits = QuicLimits {
        connections: usize::try_from(args.max_viewers)?,
        per_peer: usize::try_from(args.max_viewers_per_peer)?,
    };
    let listener = Listener::bind(
        address,
        &identity,
        tuning,
        limits,
        args.identity.quic_keylog,
        metrics.quic.arrivals.clone(),
    );
    let listener =
        listener.with_context(|| format!("cannot listen at {address}, {QUIC_ORIGIN}"))?;
    Ok(Some((listener, identity.pin())))
}

/// Feeds end by themselves when the shutdown fires; viewers are told by the end of their connections.
async fn drain(
    server: Server,
    quic: Option<Listener>,
    accepting: JoinHandle<()>,
    serving: JoinHandle<()>,
    shutdown: &Shutdown,
) {
    // A task that panicked has said so.
    let _ = accepting.await;
    let viewers = shutdown.grace("viewers", DRAIN, server.close());
    let quic = async {
        if let Some(listener) = quic {
            let _ = shutdown
                .grace("viewers over QUIC", DRAIN, listener.close())
                .await;
        }
    };
    let _ = tokio::join!(serving, viewers, quic);
}

/// Serves each name once what it carries is known.
async fn mount_names(mut names: mpsc::UnboundedReceiver<Arc<Feed>>, server: Server) {
    while let Some(feed) = names.recv().await {
        let server = server.clone();
        tokio::spawn(async move {
            let mut stream = feed.stream();
            let waiting = Arc::downgrade(&feed);
            drop(feed);
            // A name that is forgotten before it carried anything ends the wait.
            let known = stream.wait_for(Option::is_some).await.is_ok();
            let Some(feed) = waiting.upgrade().filter(|_| known) else {
                return;
            };
            drop(stream);
            match server.mount(&feed) {
                Ok(()) => tracing::info!(feed = %feed.name(), "name can be viewed"),
                Err(error) => tracing::error!(feed = %feed.name(), %error, "name cannot be viewed"),
            }
        });
    }
}

/// What must happen from time to time.
async fn keep_house(
    table: Arc<Table>,
    viewers: Viewers,
    metrics: Metrics,
    server: Server,
    forget: Duration,
    rounds: Rounds,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        count_states(&table, &metrics, now);
        server.drop_overdue(now);
        if let Some(taken) = rounds.overdue(now) {
            tracing::error!(
                taken_s = taken.as_secs(),
                "a media does not stop: no session ends until it does, nor what a session keeps; restart xr-streamer if this lasts"
            );
        }
        for feed in table.expire(forget, now, |name| viewers.of(name) > 0) {
            server.unmount(&feed);
            tracing::info!(feed = %feed.name(), "name forgotten");
        }
    }
}

fn count_states(table: &Table, metrics: &Metrics, now: Instant) {
    let mut counts = State::ALL.map(|state| (state, 0_usize));
    for feed in table.all() {
        let state = feed.state(now);
        for (counted, count) in &mut counts {
            *count += usize::from(*counted == state);
        }
    }
    for (state, count) in counts {
        metrics.set_feeds(state.as_str(), count);
    }
}
