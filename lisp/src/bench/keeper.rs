//! What keeps a name at the address of a cluster that has the service: it follows the control plane, and tells the name server by nsupdate.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use service::args::whole;
use service::{Secret, Shutdown, ready};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval};

use crate::control::Listed;
use crate::services::ServiceName;
use crate::told::{Told, monotonic_ns};

/// The name of the program.
const PROGRAM: &str = "xr-lisp-bench-keeper";

/// How often the control plane is asked: an update of the name comes so much later at most.
const GLANCE: Duration = Duration::from_millis(5);

/// How long the control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The arguments of the keeper.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KeeperArgs {
    /// The control plane's API
    #[arg(long, value_name = "ADDR:PORT")]
    api: SocketAddr,
    /// File with what the API asks for
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The service
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service: ServiceName,
    /// Clusters and the service's own address in each, the best first
    #[arg(long, value_name = "CLUSTER=ADDR", value_delimiter = ',', value_parser = place)]
    clusters: Vec<(String, IpAddr)>,
    /// The name server
    #[arg(long, value_name = "ADDR")]
    server: IpAddr,
    /// The name, in its zone
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Time to live of the name, in seconds
    #[arg(long, value_name = "S", value_parser = whole::<u32>(0..=u32::MAX))]
    ttl_s: u32,
}

fn place(text: &str) -> Result<(String, IpAddr), String> {
    let (cluster, address) = text
        .split_once('=')
        .ok_or("expected CLUSTER=ADDR, such as seoul=10.1.0.2")?;
    let address = address.parse().map_err(|_| "no address behind the =")?;
    Ok((cluster.to_owned(), address))
}

/// Follows until the shutdown. The name is the first cluster's at the beginning.
pub(crate) async fn run(args: KeeperArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let token = Secret::from_file(&args.token_file, "--token-file")?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let url = format!("http://{}/v1/services", args.api);
    let mut named = args.clusters.first().map(|(_, address)| *address);
    let mut glances = interval(GLANCE);
    glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ready::announce(PROGRAM, &[]);
    loop {
        tokio::select! {
            () = shutdown.fired() => return Ok(()),
            _ = glances.tick() => {}
        }
        let answer = client.get(&url).bearer_auth(token.expose()).send().await?;
        let all: Vec<Listed> = answer.error_for_status()?.json().await?;
        let ours = all.iter().find(|one| one.allocated.service == args.service);
        let best = args.clusters.iter().find(|(cluster, _)| {
            ours.is_some_and(|ours| ours.registered.iter().any(|other| other == cluster))
        });
        // Where no cluster has it, no name helps.
        let Some((_, address)) = best.filter(|(_, address)| named != Some(*address)) else {
            continue;
        };
        update(&args, *address).await?;
        named = Some(*address);
        let (at_ns, address) = (monotonic_ns(), *address);
        Told::Renamed { at_ns, address }.say();
    }
}

async fn update(args: &KeeperArgs, address: IpAddr) -> anyhow::Result<()> {
    let KeeperArgs {
        server,
        name,
        ttl_s,
        ..
    } = args;
    let text = format!(
        "server {server}\nupdate delete {name} A\nupdate add {name} {ttl_s} A {address}\nsend\n"
    );
    let mut nsupdate = Command::new("nsupdate")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start nsupdate, of the package bind9-dnsutils")?;
    let mut stdin = nsupdate.stdin.take().context("it has an input")?;
    stdin.write_all(text.as_bytes()).await?;
    drop(stdin);
    let output = nsupdate.wait_with_output().await?;
    if !output.status.success() {
        bail!(
            "the name server at {server} refused the update of {name}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
