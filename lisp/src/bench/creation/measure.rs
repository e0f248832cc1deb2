//! The order of the measurement, and its files.

use std::fs::File;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use cluster::{Flags, Server};
use futures::StreamExt as _;
use http::Uri;
use ipnet::Ipv4Net;
use service::Shutdown;
use tokio::time::{Instant, sleep};

use super::args::CreationArgs;
use super::event_log::EventLog;
use super::figures::{Cell, print};
use super::moments::{Moments, Parts};
use super::played::Played;
use super::programs::{AGENT, CONTROL, Programs};
use super::webhooks::by_url;
use crate::services::ServiceName;
use crate::told::{Told, monotonic_ns};

/// How long a Service may take to be registered.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long after a Service is deleted the next one is created: what its end leads to is over.
const BETWEEN: Duration = Duration::from_millis(300);

/// Services that are created at a time, where nothing is measured.
const AT_ONCE: usize = 8;

/// The hint where the API server takes no Service.
const OUTSIDE: &str = "is --pool in the range that the API server gives addresses of Services from, \
     and is the agent reached at --webhook?";

/// The options of how the API server is reached.
const FLAGS: Flags<'static> = Flags {
    kubeconfig: "--kubeconfig",
    context: "--context",
};

/// The files of a measurement's raw data, each written as it goes.
struct Raw {
    figures: File,
    events: File,
}

impl Raw {
    fn create(folder: &Path) -> anyhow::Result<Self> {
        let create = |name: &str, columns: &str| {
            let path = folder.join(name);
            let file = File::create(&path);
            let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(file, "services,repetition,{columns}")?;
            anyhow::Ok(file)
        };
        Ok(Self {
            figures: create(
                "creation.csv",
                "begun_ns,created_ns,given_ns,registering_ns,complete_ns,agent_ns,control_ns,waited_ns,\
                 create_to_getid_ms,getid_to_mapreg_ms,mapreg_to_complete_ms,kubernetes_ms,lisp_ms,transfer_ms,total_ms",
            )?,
            events: create("events.csv", "program,at_ns,event,about")?,
        })
    }

    fn write(
        &mut self,
        of: &str,
        moments: &Moments,
        parts: &Parts,
        said: &[(&'static str, Told)],
    ) -> anyhow::Result<()> {
        let Moments {
            begun_ns,
            created_ns,
            given_ns,
            registering_ns,
            complete_ns,
            agent_ns,
            control_ns,
            waited_ns,
        } = moments;
        let ms = [
            parts.create_to_id,
            parts.id_to_register,
            parts.register_to_complete,
            parts.kubernetes,
            parts.lisp,
            parts.transfer,
            parts.total(),
        ];
        let ms: Vec<_> = ms.iter().map(|value| format!("{value:.3}")).collect();
        writeln!(
            self.figures,
            "{of},{begun_ns},{created_ns},{given_ns},{registering_ns},{complete_ns},{agent_ns},{control_ns},{waited_ns},{}",
            ms.join(",")
        )?;
        for (program, told) in said {
            if let Some((at_ns, event, about)) = told.fields() {
                writeln!(self.events, "{of},{program},{at_ns},{event},{about}")?;
            }
        }
        Ok(())
    }
}

/// Measures until the end or a signal.
pub(crate) async fn run(args: CreationArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    args.check()?;
    let out = &args.out;
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    let folder = out.canonicalize()?;
    let server = Server::reach(&args.access(), FLAGS).await?;
    let run = format!("xr-lisp-bench-{}", std::process::id());
    let played = Played::new(server.client().clone(), run.clone());
    let mut measurement = Measurement {
        raw: Raw::create(&folder)?,
        events: EventLog::new(),
        programs: Programs::new(&folder.join("programs"))?,
        played,
        run,
        cells: Vec::new(),
        count: 0,
        there: 0,
    };
    let measured = tokio::select! {
        measured = measurement.measure(&args, &server) => measured,
        // What was measured until then is shown.
        () = shutdown.fired() => Ok(()),
    };
    measurement.played.remove().await;
    measured?;
    print(server.version(), &measurement.cells, &folder, args.json)
}

/// A measurement of creations under way.
struct Measurement {
    raw: Raw,
    events: EventLog,
    programs: Programs,
    played: Played,
    /// The name of all that is made in the cluster.
    run: String,
    cells: Vec<Cell>,
    /// Services that were made to be measured.
    count: u32,
    /// Services that are there beside.
    there: u16,
}

impl Measurement {
    async fn measure(&mut self, args: &CreationArgs, server: &Server) -> anyhow::Result<()> {
        self.played.make_namespace().await?;
        self.played.make_pod().await?;
        let beats = tokio::spawn(self.played.clone().beat());
        match (&args.agent_events, &args.control_events) {
            (Some(agent), Some(control)) => {
                self.events.follow(AGENT, agent.clone()).await?;
                self.events.follow(CONTROL, control.clone()).await?;
            }
            _ => self.start(args, server).await?,
        }
        self.try_one().await?;
        let mut services = args.services.clone();
        services.sort_unstable();
        services.dedup();
        for services in services {
            self.beside(services, args.repetitions).await?;
        }
        beats.abort();
        Ok(())
    }

    /// Starts control plane and agent, with webhooks of their own.
    async fn start(&mut self, args: &CreationArgs, server: &Server) -> anyhow::Result<()> {
        let pool = match args.pool {
            Some(pool) => pool,
            None => pool_near(&self.played.own_address().await?)?,
        };
        let address = match args.webhook {
            Some(address) => address,
            None => address_towards(server.url())?,
        };
        let webhook = SocketAddr::new(address, args.webhook_port);
        let path = args.manifests.join("lisp/webhooks.yaml");
        let yaml = std::fs::read_to_string(&path);
        let yaml = yaml.with_context(|| {
            let path = path.display();
            format!("cannot read {path}: name the folder k8s of a checkout with --manifests")
        })?;
        let both = by_url(&yaml, &self.run, webhook);
        for object in both.with_context(|| path.display().to_string())? {
            self.played.apply(object).await?;
        }
        tracing::info!(%pool, %webhook, kubernetes = server.version(), "starting control plane and agent");
        let control = self.programs.start_control(pool, &mut self.events).await?;
        let access = args.agent_access();
        self.programs
            .start_agent(&control, webhook, &self.run, access, &mut self.events)
            .await
    }

    /// Has one Service registered and deleted: the API server takes a moment until it believes the webhooks' certificate.
    async fn try_one(&mut self) -> anyhow::Result<()> {
        const NAME: &str = "tried";
        let begun = Instant::now();
        while let Err(error) = self.played.create(NAME).await {
            if begun.elapsed() > PATIENCE {
                return Err(error.context(OUTSIDE));
            }
            sleep(BETWEEN).await;
        }
        self.await_registered(NAME).await?;
        self.played.delete(NAME).await?;
        sleep(BETWEEN).await;
        Ok(())
    }

    /// Waits until a Service is registered.
    async fn await_registered(&mut self, name: &str) -> anyhow::Result<()> {
        let service = ServiceName::new(&self.run, name)?;
        let what = format!("{service} is registered");
        let registered = self.events.until(&what, PATIENCE, |events| {
            events.is_registered(&service).then_some(())
        });
        registered.await?;
        self.events.forget(&service);
        Ok(())
    }

    /// Measures while there are so many services, the measured one among them.
    async fn beside(&mut self, services: u16, repetitions: u16) -> anyhow::Result<()> {
        let begun = Instant::now();
        let before = self.there;
        let added = services.saturating_sub(1).max(before);
        self.add(before..added).await?;
        self.there = added;
        self.cells.push(Cell {
            services,
            parts: Vec::new(),
            failed: 0,
            added: usize::from(added - before),
            adding_s: begun.elapsed().as_secs_f64(),
            memory_kib: self.programs.memory_kib(),
        });
        for repetition in 1..=repetitions {
            tracing::info!(services, repetition, "measuring");
            let found = self.once(&format!("{services},{repetition}")).await;
            let Some(cell) = self.cells.last_mut() else {
                continue;
            };
            match found {
                Ok(parts) => cell.parts.push(parts),
                Err(error) => {
                    tracing::warn!(services, repetition, "failed: {error:#}");
                    cell.failed += 1;
                }
            }
            sleep(BETWEEN).await;
        }
        Ok(())
    }

    /// Creates services, and waits until all are registered.
    async fn add(&mut self, numbers: std::ops::Range<u16>) -> anyhow::Result<()> {
        let names: Vec<_> = numbers.map(|number| format!("beside-{number}")).collect();
        let played = &self.played;
        let created = futures::stream::iter(&names).map(|name| played.create(name));
        let mut created = created.buffer_unordered(AT_ONCE);
        while let Some(one) = created.next().await {
            one.context(OUTSIDE)?;
            // A program that is not listened to waits.
            self.events.take_all();
        }
        drop(created);
        for name in names {
            self.await_registered(&name).await?;
        }
        Ok(())
    }

    /// Creates a service, waits until it is registered, and deletes it.
    async fn once(&mut self, of: &str) -> anyhow::Result<Parts> {
        self.count += 1;
        let name = format!("measured-{}", self.count);
        let service = ServiceName::new(&self.run, &name)?;
        let begun_ns = monotonic_ns();
        let created = self.played.create(&name).await;
        created.context(OUTSIDE)?;
        let created_ns = monotonic_ns();
        let found = self.events.until(&name, PATIENCE, |events| {
            let told = events.about(&service).iter().map(|(_, told)| told);
            Moments::read(&service, [begun_ns, created_ns], told)
        });
        let found = found.await;
        // Whatever came of it.
        self.played.delete(&name).await?;
        let moments = found?;
        let parts = moments.parts()?;
        self.raw
            .write(of, &moments, &parts, self.events.about(&service))?;
        self.events.forget(&service);
        Ok(parts)
    }
}

/// The pool beside the API server's own Service: A.B.240.0/20.
fn pool_near(own: &str) -> anyhow::Result<Ipv4Net> {
    let own: Ipv4Addr = own.parse().with_context(|| {
        format!("the API server's own Service has the address {own}: name a --pool of its range")
    })?;
    let [a, b, ..] = own.octets();
    Ok(Ipv4Net::new(Ipv4Addr::new(a, b, 240, 0), 20)?)
}

/// The address that this machine has towards the API server.
fn address_towards(url: &str) -> anyhow::Result<IpAddr> {
    let uri: Uri = url.parse()?;
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(443);
    let found = || -> std::io::Result<IpAddr> {
        let any = |is_ipv6| -> SocketAddr {
            if is_ipv6 {
                (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
            } else {
                (Ipv4Addr::UNSPECIFIED, 0).into()
            }
        };
        let mut to = std::net::ToSocketAddrs::to_socket_addrs(&(host, port))?;
        let to = to.next().ok_or(std::io::ErrorKind::NotFound)?;
        // Nothing is sent: the system only looks where it would go.
        let socket = std::net::UdpSocket::bind(any(to.is_ipv6()))?;
        socket.connect(to)?;
        Ok(socket.local_addr()?.ip())
    };
    found().with_context(|| {
        format!("no address of this machine towards {url}: name one with --webhook")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_lies_beside_the_api_servers_own_service() {
        let pool = pool_near("10.96.0.1").unwrap();
        assert_eq!(pool.to_string(), "10.96.240.0/20");
        let error = pool_near("fd00::1").unwrap_err().to_string();
        assert!(
            error.contains("fd00::1") && error.contains("--pool"),
            "{error}"
        );
    }

    #[test]
    fn the_webhook_is_at_the_address_towards_the_api_server() {
        let local = address_towards("https://127.0.0.1:6443/").unwrap();
        assert_eq!(local, IpAddr::from([127, 0, 0, 1]));
    }
}
