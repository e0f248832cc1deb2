//! The hidden subcommand that is the agent of a cluster in a lab of LISP: it asks the control plane for a service's address; then it waits
//! until all that is to be reached has a mapping, or looks after who has the service, and gives it back when that is gone.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use service::http::Problem;
use service::{Secret, ready};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

/// The event by which an agent says that it has given its service back.
pub const WITHDRAWN: &str = "withdrawn";

/// The name of the program.
const PROGRAM: &str = "xrbench-lisp-agent";

/// How long the control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the control plane is asked what it has: it says so to whoever asks, and calls nobody.
const GLANCE: Duration = Duration::from_millis(20);

/// How often who has the service is looked at, and how long it may take to answer.
const PROBE: Duration = Duration::from_millis(100);
const ANSWERS_WITHIN: Duration = Duration::from_millis(200);

/// Who speaks for which service, and to whom.
#[derive(Debug, Args)]
pub struct LispAgentArgs {
    /// The control plane's API
    #[arg(long, value_name = "ADDR:PORT")]
    api: SocketAddr,
    /// The control plane's ops port
    #[arg(long, value_name = "ADDR:PORT")]
    control_ops: SocketAddr,
    /// File with what the API asks for
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The cluster
    #[arg(long, value_name = "NAME")]
    cluster: String,
    /// The service
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service: String,
    /// The address that it is to have
    #[arg(long, value_name = "ADDR")]
    address: IpAddr,
    /// Prefixes that are to have a mapping in the end, with one locator or as many as it says
    #[arg(long, value_name = "PREFIX[=LOCATORS],...", value_delimiter = ',', value_parser = awaited)]
    mappings: Vec<Awaited>,
    /// Who has the service: it takes connections there
    #[arg(long, value_name = "ADDR:PORT")]
    watch: Option<SocketAddr>,
}

/// A prefix and how many locators it is to have.
#[derive(Clone, Debug)]
struct Awaited {
    eid: String,
    locators: usize,
}

fn awaited(text: &str) -> Result<Awaited, std::num::ParseIntError> {
    let (eid, locators) = text.split_once('=').unwrap_or((text, "1"));
    Ok(Awaited {
        eid: eid.to_owned(),
        locators: locators.parse()?,
    })
}

/// What the API gives.
#[derive(Debug, Deserialize)]
struct Allocated {
    address: IpAddr,
}

/// What the control plane has, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct View {
    mappings: Vec<Mapping>,
}

#[derive(Debug, Deserialize)]
struct Mapping {
    eid: String,
    locators: Vec<serde_json::Value>,
}

impl LispAgentArgs {
    /// Says that it is ready once the service has its address, and ends once all mappings are there, or the service is given back.
    pub fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .timeout(PATIENCE)
                .build()?;
            self.register(&client).await?;
            ready::announce(PROGRAM, &[]);
            self.mapped(&client).await?;
            match self.watch {
                Some(streamer) => self.look_after(&client, streamer).await,
                None => Ok(()),
            }
        })
    }

    fn token(&self) -> anyhow::Result<Secret> {
        Ok(Secret::from_file(&self.token_file, "--token-file")?)
    }

    /// Waits until nobody takes connections any more where somebody did; then gives the service back, and says so.
    async fn look_after(
        &self,
        client: &reqwest::Client,
        streamer: SocketAddr,
    ) -> anyhow::Result<()> {
        let mut probes = interval(PROBE);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_there = false;
        let last_there = loop {
            let last = probes.tick().await;
            let answer = tokio::time::timeout(ANSWERS_WITHIN, TcpStream::connect(streamer)).await;
            let is_there = matches!(answer, Ok(Ok(_)));
            if was_there && !is_there {
                break last;
            }
            was_there |= is_there;
        };
        let found = Instant::now();
        let url = format!(
            "http://{}/v1/services/{}?cluster={}",
            self.api, self.service, self.cluster
        );
        let answer = client
            .delete(&url)
            .bearer_auth(self.token()?.expose())
            .send()
            .await
            .with_context(|| format!("no control plane answers at {url}"))?;
        let status = answer.status();
        anyhow::ensure!(status.is_success(), "{url} answers {status}");
        let line = json!({
            "event": WITHDRAWN,
            "service": self.service,
            "cluster": self.cluster,
            "probe_us": micros(found.duration_since(last_there.into_std())),
            "answered_us": micros(found.elapsed()),
        });
        // Whoever closed our stdout does not want the line.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
        Ok(())
    }

    /// Lets the cluster register the service's address.
    async fn register(&self, client: &reqwest::Client) -> anyhow::Result<()> {
        let (cluster, service) = (&self.cluster, &self.service);
        let (namespace, name) = service
            .split_once('/')
            .with_context(|| format!("--service {service:?} is no NAMESPACE/NAME"))?;
        let token = self.token()?;
        let url = format!("http://{}/v1/services", self.api);
        let answer = client
            .post(&url)
            .bearer_auth(token.expose())
            .json(&json!({ "cluster": cluster, "namespace": namespace, "name": name }))
            .send()
            .await
            .with_context(|| format!("no control plane answers at {url}"))?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            let told = Problem::told(&body);
            anyhow::bail!(
                "{url} gives {service} of cluster {cluster} no address: {status}: {told}"
            );
        }
        let Allocated { address } = serde_json::from_slice(&body)
            .with_context(|| format!("{url} is no control plane of this version"))?;
        let wanted = self.address;
        anyhow::ensure!(
            address == wanted,
            "{service} has the address {address}, where the lab leads to {wanted}: the control plane's reservation is another"
        );
        Ok(())
    }

    /// Waits until every prefix has a locator.
    async fn mapped(&self, client: &reqwest::Client) -> anyhow::Result<()> {
        let url = format!("http://{}/lisp", self.control_ops);
        let mut glances = interval(GLANCE);
        glances.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The lab bounds this: it ends whoever takes longer than it has patience.
        loop {
            glances.tick().await;
            let view: View = client.get(&url).send().await?.json().await?;
            let has = |wanted: &Awaited| {
                let mut all = view.mappings.iter();
                all.any(|one| one.eid == wanted.eid && one.locators.len() >= wanted.locators)
            };
            if self.mappings.iter().all(has) {
                return Ok(());
            }
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
