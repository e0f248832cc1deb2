//! xr-client put together: check, build, play, drain, sum up.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use roq::connect::Target;
use roq::signal::Mode;
use service::ops::Ops;
use service::trace::TraceRing;
use service::{Shutdown, clock, ready};
use settings::Transport;
use timeline::UnixMicros;
use tokio::sync::{mpsc, watch};
use tower_http::services::ServeDir;

use crate::cli::{Args, SinkChoice};
use crate::driver::Driver;
use crate::incoming::{QuicSettings, probe};
use crate::link::{Link, Policy};
use crate::metrics::Metrics;
use crate::player::{Outputs, Player, SharedPlayer};
use crate::screen::Screen;
use crate::session::{SessionContext, Settings};
use crate::strips::Selection;
use crate::summary::{FramesOut, Packets, Records, Summary};
use crate::upload::Uploader;
use crate::user::User;
use crate::{frames, incoming, strips};

/// Crossings kept for the collector: two a frame, some minutes.
const TRACE: usize = 65_536;

/// How long `--duration` waits for the first frame.
const FIRST_FRAME_LIMIT: Duration = Duration::from_mins(1);

/// The part of the grace that writers and senders have, after the session is closed.
const DRAIN: Duration = Duration::from_secs(2);

/// What cuts off a writer that does not keep to it: with the session's farewell still below the process's grace.
const WRITERS: Duration = Duration::from_millis(2_300);

/// Plays until the duration is over or `shutdown` fires.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let (started, origin) = (clock::now(), Instant::now());
    args.check()?;
    clock::set_hold(Duration::from_micros(args.tuning.hold_us.into()));
    // Once, because what it is read from may be a pipe.
    let user = args.user()?;
    let uri: http::Uri = args.url.parse().context("the URL was checked")?;
    media::init()?;
    if args.stream_has_tls() {
        incoming::tls::believe(args.tls.tls_ca.as_deref())?;
    }
    // What a machine lacks is said now, and not at the first frame.
    for factory in [
        "rtspsrc",
        "rtpbin",
        "rtph264depay",
        "avdec_h264",
        "videoconvert",
    ] {
        media::element(factory)?;
    }

    let mut ops = Ops::new("xr-client");
    let metrics = Metrics::register(&mut ops.registry);
    let trace = TraceRing::new(TRACE);
    ops.trace = Some(trace.clone());
    let readiness = ops.ready.clone();
    readiness.set_unready("no frame yet");

    if let Some(directory) = &args.strips {
        // Where the client is a pod, whoever ran it has no other way to them.
        ops.more = Router::new().nest_service("/strips", ServeDir::new(directory));
    }
    let (writers, outputs) = Writers::start(&args, &metrics, &shutdown, started)?;
    let address = args.common.ops.context("--ops has a default")?;
    let ops = ops.bind(address, &shutdown).await?;
    if args.says_ready() {
        ready::announce("xr-client", &[("ops", ops.local_addr().to_string())]);
    }

    let (first_frame, mut first_seen) = watch::channel(None);
    let player = SharedPlayer::new(Player::new(
        outputs,
        metrics.clone(),
        trace.clone(),
        first_frame,
    ));
    let (events, heard) = mpsc::channel(64);
    let (transport, transport_seen) = watch::channel(None);
    let driver = Driver {
        link: Link::new(
            args.transports()?,
            Policy::behind(Duration::from_millis(args.tuning.latency_ms.into())),
        ),
        settings: settings(&args, &uri, &metrics, user)?,
        uri,
        context: SessionContext {
            player: player.clone(),
            metrics: metrics.clone(),
            trace,
            events,
            origin,
        },
        events: heard,
        ready: readiness,
        transport,
        first_frame: first_seen.clone(),
    };
    // Its own, because the end of the duration stops the driver, and not the process.
    let stop = shutdown.child();
    let driver = tokio::spawn(driver.run(stop.clone()));
    let waited_in_vain = wait(&args, &mut first_seen, started, &metrics, &shutdown).await;
    stop.begin();
    let why = driver.await.context("the driver of sessions failed")?;
    let outputs = player.lock().take_outputs();
    writers.finish(outputs, &shutdown).await;

    let summary = sum_up(&args, &player, &metrics, *transport_seen.borrow(), started);
    print(&summary, args.json)?;
    ops.stop().await;
    verdict(&args, &summary, waited_in_vain, why.as_deref())
}

fn settings(
    args: &Args,
    uri: &http::Uri,
    metrics: &Metrics,
    user: Option<User>,
) -> anyhow::Result<Settings> {
    let mut decode = media::decode::Config::new(clock::now);
    decode.stamp_clock = clock::hold_then_now;
    decode.threads = args.tuning.decoder_threads;
    decode.thread_type = args.tuning.decoder_thread_type;
    decode.sync = args.tuning.sync;
    let quic = args.trust()?.map(|trust| QuicSettings {
        target: Target {
            host: probe::bare_host(uri).unwrap_or_default().to_owned(),
            port: uri.port_u16().unwrap_or_default(),
            name: uri.path().trim_matches('/').to_owned(),
            // Each session says for itself.
            by: Mode::Datagram,
        },
        trust,
        key_log: args.quic.quic_keylog,
        received: metrics.quic.clone(),
    });
    Ok(Settings {
        incoming: incoming::Settings {
            url: args.url.clone(),
            latency_ms: args.tuning.latency_ms,
            buffer_mode: args.tuning.buffer_mode,
            user,
            quic,
        },
        decode,
    })
}

/// Plays until the end, the duration or the shutdown. True if a duration was given and no frame came to count it from.
async fn wait(
    args: &Args,
    first_frame: &mut watch::Receiver<Option<UnixMicros>>,
    started: UnixMicros,
    metrics: &Metrics,
    shutdown: &Shutdown,
) -> bool {
    let limit = async {
        match args.duration {
            Some(_) => tokio::time::sleep(FIRST_FRAME_LIMIT).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shutdown.fired() => return false,
        () = limit => return true,
        first = first_frame.wait_for(Option::is_some) => {
            let first = first.ok().and_then(|first| *first).unwrap_or(started);
            let micros = first.micros_since(started);
            metrics.first_frame.set(micros as f64 / 1e6);
            tracing::info!(after_ms = micros / 1_000, "first frame");
        }
    }
    let played = async {
        match args.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = shutdown.fired() => {}
        () = played => {}
    }
    false
}

/// Who writes and sends.
#[derive(Default)]
struct Writers {
    rows: Option<frames::Writer>,
    strips: Option<strips::Writer>,
    uploader: Option<Uploader>,
}

impl Writers {
    fn start(
        args: &Args,
        metrics: &Metrics,
        shutdown: &Shutdown,
        started: UnixMicros,
    ) -> anyhow::Result<(Self, Outputs)> {
        let mut writers = Self::default();
        let mut outputs = Outputs::default();
        if let Some(path) = &args.frames {
            let (writer, rows) = frames::Writer::start(path, metrics.rows.clone())?;
            (writers.rows, outputs.rows) = (Some(writer), Some(rows));
        }
        if let Some(directory) = &args.strips {
            let (writer, keeper) = strips::Writer::start(directory, metrics.strips.clone())?;
            let selection = Selection::new(args.strips_max, args.strips_every);
            (writers.strips, outputs.strips) = (Some(writer), Some((keeper, selection)));
        }
        outputs.screen = match &args.sink {
            SinkChoice::None => None,
            SinkChoice::Window => Some(Screen::window(metrics.screen.clone())?),
            SinkChoice::Record(path) => Some(Screen::record(path, metrics.screen.clone())?),
        };
        if let Some(collector) = &args.collector {
            let id = args
                .client_id
                .clone()
                .unwrap_or_else(|| format!("xr-client-{}-{started}", std::process::id()));
            let (token, fates) = (args.token.load()?, metrics.posts.clone());
            let tls = args.collector_tls()?;
            let (uploader, posts) =
                Uploader::start(collector, tls, &id, token.as_ref(), fates, shutdown)?;
            (writers.uploader, outputs.posts) = (Some(uploader), Some(posts));
        }
        Ok((writers, outputs))
    }

    /// Brings everything that was queued to its place; all at once, because the grace is short.
    async fn finish(self, outputs: Outputs, shutdown: &Shutdown) {
        let Outputs {
            rows,
            posts,
            strips,
            screen,
        } = outputs;
        drop((rows, posts, strips));
        let (row_writer, strip_writer) = (self.rows, self.strips);
        let files = tokio::task::spawn_blocking(move || {
            if let Some(writer) = row_writer {
                writer.finish();
            }
            if let Some(writer) = strip_writer {
                writer.finish();
            }
        });
        let screen = tokio::task::spawn_blocking(move || {
            if let Some(screen) = screen {
                screen.finish(DRAIN);
            }
        });
        let post = async {
            if let Some(uploader) = self.uploader {
                uploader.finish(DRAIN).await;
            }
        };
        let all = async { tokio::join!(files, screen, post) };
        // What is cut off is counted where it was queued; the grace itself warns.
        let _ = shutdown.grace("writers", WRITERS, all).await;
    }
}

fn sum_up(
    args: &Args,
    player: &SharedPlayer,
    metrics: &Metrics,
    transport: Option<Transport>,
    started: UnixMicros,
) -> Summary {
    let player = player.lock();
    let span_of = player.played();
    let span = |from: Option<UnixMicros>, to: Option<UnixMicros>| Some(to?.micros_since(from?));
    let positive = |span: Option<i64>| span.and_then(|span| u64::try_from(span).ok());
    Summary {
        url: args.url.clone(),
        transport,
        size: span_of.size,
        played_s: positive(span(span_of.first, span_of.last)).unwrap_or(0) as f64 / 1e6,
        first_frame_us: positive(span(Some(started), span_of.first)),
        frames: player.frames(),
        latency_us: player.totals().latency(),
        mean_latency_change_us: player.totals().mean_latency_change_us(),
        player_us: per_picture(metrics, player.frames()),
        packets: Packets {
            received: metrics.packets_received.get(),
            lost: metrics.packets_lost.get(),
            late: metrics.packets_late.get(),
        },
        reconnects: metrics.reconnects.get(),
        records: Records {
            rows_written: metrics.rows.kept.get(),
            rows_dropped: metrics.rows.dropped.get(),
            posted: metrics.posts.kept.get(),
            post_dropped: metrics.posts.dropped.get(),
            strips_kept: metrics.strips.kept.get(),
            strips_dropped: metrics.strips.dropped.get(),
            screened: metrics.screen.kept.get(),
            screen_dropped: metrics.screen.dropped.get(),
        },
    }
}

fn per_picture(metrics: &Metrics, frames: FramesOut) -> Option<f64> {
    let counts = frames.counts;
    let pictures = counts.shown + counts.unread + counts.damaged + counts.duplicate;
    (pictures > 0).then(|| metrics.player_ns.get() as f64 / 1e3 / pictures as f64)
}

fn print(summary: &Summary, json: bool) -> anyhow::Result<()> {
    let text = if json {
        serde_json::to_string(summary)? + "\n"
    } else {
        summary.table()
    };
    let mut stdout = std::io::stdout().lock();
    // Whoever closed our stdout does not want it.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    Ok(())
}

/// A measurement without a sample is no measurement. A service that was stopped before a frame came did nothing wrong.
fn verdict(
    args: &Args,
    summary: &Summary,
    waited_in_vain: bool,
    why: Option<&str>,
) -> anyhow::Result<()> {
    if args.duration.is_none() || summary.frames.counts.shown > 0 {
        return Ok(());
    }
    let unread = summary.frames.counts.unread;
    if unread > 0 {
        anyhow::bail!(
            "{unread} pictures of {} were played, and no stamp could be read in any: feed it from xr-renderer, at \
             640x360 or more",
            args.url
        );
    }
    let waited = if waited_in_vain {
        format!(" within {} s", FIRST_FRAME_LIMIT.as_secs())
    } else {
        String::new()
    };
    let why = why.map_or_else(|| "; the log says why".to_owned(), |why| format!(": {why}"));
    anyhow::bail!(
        "nothing was shown: no frame of {} came{waited}{why}",
        args.url
    )
}
