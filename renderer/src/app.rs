//! The program: source, producer and feed, from the start to the drained end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use media::generate::Stamps;
use media::packets::{self, ParameterSets};
use media::producer::Producer;
use media::source::Unread;
use rustls::ClientConfig;
use service::ops::Ops;
use service::trace::TraceRing;
use service::{Secret, Shutdown, clock, ready};
use settings::FeedUrl;

use crate::cli::{Args, Target};
use crate::feed::{Feed, Mailbox, Means, Sender};
use crate::metrics::{self, Metrics, Outcome, Reason, Telemetry};
use crate::{floor, frames};

const PROGRAM: &str = "xr-renderer";
/// Two crossings a frame: nine minutes at 60 frames a second, in 1.5 MB.
const TRACE: usize = 65_536;

/// Runs the renderer until it is told to stop, its time is over, or it fails.
pub async fn run(args: Args, shutdown: Shutdown) -> anyhow::Result<()> {
    let target = args.target()?;
    let token = args.token.load()?;
    media::init()?;
    match target {
        Target::Feed(url, tls, means) => {
            let process = Secret::random()?;
            let sender = Sender { token, process };
            feed(args, (url, tls, means), sender, shutdown).await
        }
        Target::Floor(path) => {
            let mut ops = ops();
            let metrics = Metrics::register(&mut ops.registry);
            floor::run(args, path, ops, metrics, shutdown).await
        }
    }
}

/// The ops port of this program, with an empty trace.
fn ops() -> Ops {
    let mut ops = Ops::new(PROGRAM);
    ops.trace = Some(TraceRing::new(TRACE));
    ops
}

async fn feed(
    args: Args,
    (url, tls, means): (FeedUrl, Option<Arc<ClientConfig>>, Option<Means>),
    sender: Sender,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut ops = ops();
    let metrics = Metrics::register(&mut ops.registry);
    let trace = ops.trace.clone().unwrap_or_else(|| TraceRing::new(1));
    let readiness = ops.ready.clone();
    let server = ops.bind(frames::ops_address(&args), &shutdown).await?;

    let Some(source) = frames::open(&args, &shutdown).await? else {
        server.stop().await;
        return Ok(());
    };
    let unread = source.unread();
    clock::set_hold(Duration::from_micros(args.encoding.hold_us.into()));
    let mailbox = Mailbox::new(metrics.clone());
    let (stamps, sets) = (Stamps::new(), ParameterSets::default());
    let (telemetry, ended) = Telemetry::new(metrics.clone(), trace.clone());
    let asks = Arc::new(std::sync::OnceLock::<media::producer::Control>::new());
    let ask: Arc<dyn Fn() + Send + Sync> = {
        let asks = Arc::clone(&asks);
        Arc::new(move || {
            if let Some(control) = asks.get() {
                control.request_key_frame();
            }
        })
    };
    let deliver = {
        let (mailbox, metrics, ask) = (mailbox.clone(), metrics.clone(), Arc::clone(&ask));
        move |frame: packets::EncodedFrame| {
            metrics::note_encoded(&metrics, &trace, &frame);
            if mailbox.put(frame) {
                metrics.asked(metrics::Asker::Feed);
                ask();
            }
        }
    };
    let encoder = args.encoder();
    let tail = packets::tail(
        encoder.rtp_mtu,
        stamps.clone(),
        sets.clone(),
        clock::now,
        deliver,
    )?;
    let producer = Producer::start(
        &encoder,
        source,
        stamps,
        clock::now_then_hold,
        &tail,
        Arc::new(telemetry),
    )?;
    // The first frame of every connection is asked for when it is made, so none was asked for before this.
    let _ = asks.set(producer.control());

    let stop_feed = Shutdown::new();
    let feed = Feed {
        url: url.clone(),
        tls,
        means,
        sender,
        mailbox: mailbox.clone(),
        sets,
        metrics: metrics.clone(),
        ready: readiness.clone(),
        ask,
    };
    let mut feeding = tokio::spawn(feed.run(stop_feed.clone()));
    readiness.set_ready();
    ready::announce(
        PROGRAM,
        &[
            ("ops", server.local_addr().to_string()),
            ("feed", url.to_string()),
        ],
    );

    let refused = tokio::select! {
        result = &mut feeding => Some(result),
        result = frames::produce(producer, ended, args.duration, (&metrics, &unread), &shutdown) => {
            // In this order: the answer that the end of the body brings is then known to be the last word.
            stop_feed.begin();
            mailbox.finish();
            result?;
            None
        }
    };
    let result = match refused {
        Some(result) => result,
        None => feeding.await,
    };
    let trouble = result.context("the feed's task ended early")??;
    summary(&metrics, &unread);
    server.stop().await;
    // A renderer that was stopped before a streamer came did nothing wrong.
    if args.duration.is_some()
        && !shutdown.has_fired()
        && let Some(why) = trouble
    {
        anyhow::bail!("the feed was never taken: {why}");
    }
    Ok(())
}

/// One line for people, when all is over.
fn summary(metrics: &Metrics, unread: &Unread) {
    tracing::info!(
        generated = metrics.total(Outcome::Generated),
        sent = metrics.total(Outcome::Sent),
        skipped = metrics.total(Outcome::Skipped),
        dropped = metrics.total(Outcome::Dropped),
        source_behind = metrics.lost(Reason::SourceBehind),
        source_unread = unread.pictures(),
        "frames"
    );
}
