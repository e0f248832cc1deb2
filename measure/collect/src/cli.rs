//! `xrbench collect`: the collector as a service.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use service::args::listen_address;
use service::ops::Ops;
use service::{ConfigError, Shutdown, ready};
use timeline::join::Limits;

use super::scrape::Target;
use super::{Collector, Start};
use result::cannot_write;

const EXAMPLES: &str = "\
Examples:
  Take the reports of a client on this machine, and the traces of the services:
    xrbench collect --scrape renderer=127.0.0.1:9091 --scrape streamer=127.0.0.1:9092 --scrape client=127.0.0.1:9093
  In a cluster, for clients elsewhere:
    xrbench collect --listen 0.0.0.0:9094 --ops 0.0.0.0:9095 --out /data/collected

Each scraped service's clock is compared with ours once a second; name the client too, so that its clock is known.
frames.csv and latency.hlog are at most a second behind. SIGTERM drains within 3 s.";

/// Take clients' reports, pull services' traces, and join both per frame
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CollectArgs {
    /// Where clients post: POST /frames/CLIENT
    #[arg(long, env = "XR_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:9094", value_parser = listen_address)]
    listen: SocketAddr,
    /// Ops port of a service whose trace is pulled, with a name for it if you like; may be given several times
    #[arg(long, env = "XR_SCRAPE", value_name = "[NAME=]HOST:PORT", value_delimiter = ',', value_parser = target)]
    scrape: Vec<Target>,
    /// Folder for frames.csv and latency.hlog; made if it is not there
    #[arg(long, env = "XR_OUT", value_name = "DIR", default_value = "collected")]
    out: PathBuf,
    /// Our own ops port, which serves /live, /ready, /metrics and /clock
    #[arg(long, env = "XR_OPS", value_name = "ADDR:PORT", default_value = "127.0.0.1:9095", value_parser = listen_address)]
    ops: SocketAddr,
}

fn target(text: &str) -> Result<Target, String> {
    let (name, ops) = text.split_once('=').unwrap_or((text, text));
    let port = ops
        .rsplit_once(':')
        .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok())?);
    if port.is_none_or(|port| port == 0) || ops.contains('/') || name.is_empty() {
        return Err("expected the HOST:PORT of an ops port, such as 127.0.0.1:9091 or renderer=renderer:9091".to_owned());
    }
    Ok(Target {
        name: name.to_owned(),
        ops: ops.to_owned(),
        ask_clock: true,
    })
}

/// Collects until the shutdown.
pub async fn run(args: CollectArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.out).with_context(|| cannot_write(&args.out))?;
    let frames = args.out.join("frames.csv");
    if std::fs::metadata(&frames).is_ok_and(|file| file.len() > 0) {
        let why = "it holds the frames.csv of an earlier collection, which would be overwritten";
        return Err(ConfigError::new(
            "--out (XR_OUT)",
            args.out.display().to_string(),
            why,
            "Give another folder.",
        )
        .into());
    }
    let mut ops = Ops::new("xrbench-collect");
    let start = Start {
        listen: args.listen,
        origin: "--listen (XR_LISTEN)".to_owned(),
        frames,
        log: args.out.join("latency.hlog"),
        limits: Limits::default(),
        one_clock: false,
        measure_all: true,
        on_event: Box::new(|_, _, _| {}),
    };
    let collector = Collector::start(start, &mut ops.registry)?;
    let ready = ops.ready.clone();
    let ops = ops.bind(args.ops, &shutdown).await?;
    let scrapers: Vec<_> = args
        .scrape
        .into_iter()
        .map(|target| collector.scrape(target))
        .collect::<anyhow::Result<_>>()?;
    ready.set_ready();
    let listen = ("listen", collector.address().to_string());
    ready::announce(
        "xrbench-collect",
        &[("ops", ops.local_addr().to_string()), listen],
    );

    let mut failure = collector.failure();
    tokio::select! {
        () = shutdown.fired() => {}
        // The sender is in the collector, which is still here.
        _ = failure.wait_for(Option::is_some) => {}
    }
    for scraper in scrapers {
        // A service that has gone has said so in the log already.
        let _ = scraper.catch_up().await;
        scraper.stop().await;
    }
    let (counts, clocks) = collector.finish().await?;
    tracing::info!(?counts, ?clocks, "collected");
    ops.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_names() {
        let named = target("renderer=10.0.0.1:9091").expect("a target");
        assert_eq!(
            (named.name.as_str(), named.ops.as_str()),
            ("renderer", "10.0.0.1:9091")
        );
        assert_eq!(target("h:1").expect("a target").name, "h:1");
        for wrong in ["", "h", "h:", ":1", "h:0", "h:x", "http://h:1", "=h:1"] {
            assert!(
                target(wrong).expect_err(wrong).contains("127.0.0.1:9091"),
                "{wrong}"
            );
        }
    }
}
