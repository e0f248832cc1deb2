//! The collector as a service, xr-collector: its command line, and its work from the start to the drained end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use result::Machine;
use service::args::{Common, listen_address, whole};
use service::ops::Ops;
use service::tls::TlsArgs;
use service::{ConfigError, Shutdown, TokenArgs, clock, ready};
use timeline::ClientName;
use timeline::join::Limits;
use tower_http::services::ServeDir;

use super::files::Paths;
use super::scrape::{Scraper, Target};
use super::{Collection, Collector, Live, MAX_BYTES, Start};

const EXAMPLES: &str = "\
Examples:
  Take the reports of a client on this machine, and the traces of the services:
    xr-collector --scrape renderer=127.0.0.1:9091 --scrape streamer=127.0.0.1:9092 \\
      --scrape client=127.0.0.1:9093
    xr-client --client-id client --collector http://127.0.0.1:9094 ...
  In a cluster, for clients elsewhere:
    xr-collector --listen 0.0.0.0:9094 --ops 0.0.0.0:9095 --out /data/collected \\
      --scrape phone=phone:9093
  The same over TLS, with a token that every client shows:
    xr-collector --listen 0.0.0.0:9094 --tls-cert tls.crt --tls-key tls.key --token-file token \\
      --scrape phone=phone:9093
  What came of it, at any time:
    xrbench report /data/collected
  What comes of it now, as a page:
    xdg-open http://collector:9095/
  The files from elsewhere, one at a time, by the ops port:
    curl --remote-name http://collector:9095/result/collected/run-1/frames.csv

Each scraped service's clock is compared with ours once a second. A client's clock is known if it is scraped under the name \
that it posts under. Each start is a repetition of its own, collected/run-1, run-2, ..., so that a pod that is restarted on \
the same volume goes on. A frame is written once its every point is known, or after 30 s, or at SIGTERM, which drains within \
3 s (docs/collect.md).";

/// Takes clients' reports, pulls services' traces, and joins both per frame.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "xr-collector", version, after_help = EXAMPLES)]
#[command(mut_arg("ops", |arg| arg.default_value("127.0.0.1:9095")))]
pub struct CollectArgs {
    /// Where clients post: POST /frames/CLIENT
    #[arg(long, env = "XR_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:9094", value_parser = listen_address)]
    listen: SocketAddr,
    /// Ops port of a service whose trace is pulled, with a name for it if you like; may be given several times
    #[arg(long, env = "XR_SCRAPE", value_name = "[NAME=]HOST:PORT", value_delimiter = ',', value_parser = target)]
    scrape: Vec<Target>,
    /// The stream that is measured, by its name at the streamer; without one, the first that the streamer was fed
    #[arg(long, env = "XR_STREAM", value_name = "NAME", value_parser = stream_name)]
    stream: Option<String>,
    /// Folder of the result; made if it is not there. One that this command wrote before gets another repetition
    #[arg(long, env = "XR_OUT", value_name = "DIR", default_value = "collected")]
    out: PathBuf,
    /// Folder of another program's files, served under /files of the ops port as they grow; nothing else of it is read
    #[arg(long, env = "XR_FILES", value_name = "DIR")]
    files: Option<PathBuf>,
    /// What every post must show
    #[command(flatten)]
    token: TokenArgs,
    /// How large frames.csv may grow, in bytes; then no more reports are taken
    #[arg(long, env = "XR_MAX_BYTES", value_name = "N", default_value_t = MAX_BYTES, value_parser = whole::<u64>(1..=u64::MAX))]
    max_bytes: u64,
    /// Every service and client is on this host: no clock is asked
    #[arg(long, env = "XR_ONE_CLOCK")]
    one_clock: bool,

    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,

    // Last, because its heading would go on for what follows.
    /// The certificate of the port that clients post to.
    #[command(flatten)]
    tls: TlsArgs,
}

fn stream_name(text: &str) -> Result<String, String> {
    // Clients and streams are named by the same rule.
    let name = ClientName::new(text);
    name.map(String::from).map_err(|_| {
        "a stream's name is 1 to 64 letters, digits, dots, dashes and underscores".to_owned()
    })
}

fn target(text: &str) -> Result<Target, String> {
    let (name, ops) = text.split_once('=').unwrap_or((text, text));
    let port = ops
        .rsplit_once(':')
        .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())?);
    if port.is_none_or(|port| port == 0) || ops.contains(['/', '@']) || name.is_empty() {
        return Err("expected the HOST:PORT of an ops port, such as 127.0.0.1:9091 or renderer=renderer:9091".to_owned());
    }
    Ok(Target {
        name: name.to_owned(),
        ops: ops.to_owned(),
        stream: None,
        ask_clock: true,
    })
}

/// Whether the folder of `--files` can be served: one that is not there would be one whose files are never found.
fn check_files(folder: &Path) -> Result<(), ConfigError> {
    std::fs::read_dir(folder).map(drop).map_err(|error| {
        let remedy = "Make the folder first, or leave the flag out; in a pod, mount the volume that the other program writes to.";
        ConfigError::new(
            "--files (XR_FILES)",
            folder.display().to_string(),
            format!("it is no folder that can be read ({error})"),
            remedy,
        )
    })
}

/// The name of the program.
const PROGRAM: &str = "xr-collector";

/// How often `meta.json` is brought up to date, in seconds; each second at first, and after a new clock, the first frame, or reports that
/// do not count.
const NOTE_EVERY_S: u32 = 10;

/// How long services may take for the last page of their traces: what is heard by then is written.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Collects until the shutdown.
pub async fn run(args: CollectArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let address = args.common.ops.context("--ops has a default")?;
    args.files.as_deref().map_or(Ok(()), check_files)?;
    let token = args.token.load()?;
    let tls = args.tls.server()?;
    let mut collection = Collection::begin(&args.out, Machine::here(), clock::now())?;
    let mut ops = Ops::new(PROGRAM);
    // The files grow while they are served; whoever has the first part of one asks for the rest by a range.
    ops.more = Router::new().nest_service("/result", ServeDir::new(&args.out));
    if let Some(files) = &args.files {
        ops.more = ops.more.nest_service("/files", ServeDir::new(files));
    }
    let mut limits = Limits::default();
    if args.scrape.is_empty() {
        // Nobody will say more of a frame than its client.
        limits.patience = Duration::ZERO;
    }
    let live = Arc::<Live>::default();
    let start = Start {
        listen: args.listen,
        origin: "--listen (XR_LISTEN)".to_owned(),
        tls,
        paths: Paths::of(collection.repetition()),
        limits,
        one_clock: args.one_clock,
        measure_all: true,
        token,
        reported: collection.reported_before(),
        max_bytes: args.max_bytes,
        live: Arc::clone(&live),
        on_event: Box::new(|_, _, _| {}),
        stop: shutdown.later(),
    };
    let collector = Collector::start(start, &mut ops.registry)?;
    ops.more = ops.more.merge(live.routes(shutdown.clone()));
    let ready = ops.ready.clone();
    let ops = ops.bind(address, &shutdown).await?;
    let scrapers: Vec<_> = args
        .scrape
        .into_iter()
        .map(|target| Target {
            ask_clock: !args.one_clock,
            stream: args.stream.clone(),
            ..target
        })
        .map(|target| collector.scrape(target))
        .collect::<anyhow::Result<_>>()?;
    ready.set_ready();
    let listen = ("listen", collector.address().to_string());
    ready::announce(PROGRAM, &[("ops", ops.local_addr().to_string()), listen]);

    let progress = collector.progress();
    let mut failure = collector.failure();
    let mut notes = tokio::time::interval(Duration::from_secs(1));
    let (mut seconds, mut heard_before) = (0_u32, None);
    loop {
        tokio::select! {
            () = shutdown.fired() => break,
            // The sender is in the collector, which is still here.
            _ = failure.changed() => match &*failure.borrow_and_update() {
                Some(why) => ready.set_unready(why.clone()),
                None => ready.set_ready(),
            },
            _ = notes.tick() => {
                live.end_second(clock::now());
                let (known, clocks) = (progress.borrow().clone(), collector.clocks());
                // Clocks alone are worth a note too: of an ffmpeg beside us nothing else is heard.
                let heard = (known.shown > 0, clocks.asked(), known.unreported.clone());
                let anything = heard != Default::default();
                if heard_before.replace(heard.clone()) != Some(heard) {
                    seconds = 0;
                }
                seconds = seconds.saturating_add(u32::from(anything));
                let is_due = seconds <= NOTE_EVERY_S || seconds.is_multiple_of(NOTE_EVERY_S);
                if seconds > 0
                    && is_due
                    && let Err(error) = collection.note(&known, &clocks)
                {
                    tracing::warn!("{error:#}");
                }
            }
        }
    }
    let last_pages = scrapers.iter().map(Scraper::catch_up);
    // A service that has gone has said so in the log already.
    let last_pages = futures::future::join_all(last_pages);
    let _ = shutdown
        .grace("the services' last pages", CATCH_UP, last_pages)
        .await;
    for scraper in scrapers {
        scraper.stop().await;
    }
    let clocks = collector.clocks();
    let finished = collector.finish().await;
    let known = progress.borrow().clone();
    let failed = finished.as_ref().err().map(|error| format!("{error:#}"));
    let ended = collection.end(&known, &clocks, failed, clock::now());
    let (counts, _) = finished?;
    ended?;
    tracing::info!(
        clock_uncertainty_us = clocks.uncertainty_us,
        "collected: {counts}"
    );
    ops.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_folder_of_files_must_be_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(
            check_files(dir.path()).map_err(|error| error.to_string()),
            Ok(())
        );
        let film = dir.path().join("progress.txt");
        std::fs::write(&film, "frame=1").expect("written");
        for wrong in [film, dir.path().join("none")] {
            let error = check_files(&wrong).expect_err("no folder").to_string();
            let path = wrong.display().to_string();
            assert!(
                error.contains("--files (XR_FILES)") && error.contains(&path),
                "{error}"
            );
        }
    }

    /// A longer line is cut in two where nobody knows the terminal's width, and cannot be pasted.
    #[test]
    fn examples_can_be_pasted_and_flags_stand_under_their_heading() {
        let command = CollectArgs::command();
        let help = command.get_after_help().map(ToString::to_string);
        let help = help.expect("examples");
        let long = help
            .lines()
            .find(|line| line.starts_with(' ') && line.len() > 100);
        assert_eq!(long, None);
        let under = command
            .get_arguments()
            .filter(|arg| arg.get_help_heading() == Some("TLS"));
        let under: Vec<_> = under.map(|arg| arg.get_id().as_str()).collect();
        assert_eq!(under, ["tls_cert", "tls_key"]);
    }

    #[test]
    fn targets_have_names() {
        let named = target("renderer=10.0.0.1:9091").expect("a target");
        assert_eq!(
            (named.name.as_str(), named.ops.as_str()),
            ("renderer", "10.0.0.1:9091")
        );
        assert_eq!(target("h:1").expect("a target").name, "h:1");
        for wrong in [
            "",
            "h",
            "h:",
            ":1",
            "h:0",
            "h:x",
            "http://h:1",
            "=h:1",
            "me:secret@h:1",
        ] {
            assert!(
                target(wrong).expect_err(wrong).contains("127.0.0.1:9091"),
                "{wrong}"
            );
        }
    }
}
