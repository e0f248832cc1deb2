//! The client of an experiment: requests at a steady pace, and a line for every answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use service::Shutdown;
use service::args::whole;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};

use crate::told::{Told, monotonic_ns};

/// Bytes of a request: its number, its time, and nothing.
const BYTES: usize = 200;

/// The arguments of the client.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StreamArgs {
    /// Who answers; with --name only the port of it counts
    #[arg(long, value_name = "ADDR:PORT")]
    to: SocketAddr,
    /// Milliseconds between two requests
    #[arg(long, value_name = "MS", default_value_t = 5, value_parser = whole::<u16>(1..=u16::MAX))]
    interval_ms: u16,
    /// Name of who answers, which is resolved again whenever its time to live is over
    #[arg(long, value_name = "NAME", requires = "resolver")]
    name: Option<String>,
    /// Name server that is asked for it
    #[arg(long, value_name = "ADDR")]
    resolver: Option<IpAddr>,
}

/// Sends requests until the shutdown.
pub(crate) async fn run(args: StreamArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    // Not connected: what ICMP says of one request is not the next one's error.
    let any: SocketAddr = if args.to.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    }
    .parse()?;
    let socket = Arc::new(UdpSocket::bind(any).await?);
    let mut names = match (args.name, args.resolver) {
        (Some(name), Some(server)) => Some(Names::new(name, server)?),
        _ => None,
    };
    tokio::spawn(receive(Arc::clone(&socket)));
    let mut ticks = interval(Duration::from_millis(args.interval_ms.into()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut to = args.to;
    for number in 0_u64.. {
        tokio::select! {
            () = shutdown.fired() => break,
            _ = ticks.tick() => {}
        }
        if let Some(names) = &mut names {
            to.set_ip(names.now(to.ip()).await);
        }
        let mut request = [0; BYTES];
        request[..8].copy_from_slice(&number.to_be_bytes());
        request[8..16].copy_from_slice(&monotonic_ns().to_be_bytes());
        // What cannot be sent is not answered, and counts so.
        let _ = socket.send_to(&request, to).await;
    }
    Ok(())
}

/// Says every answer that comes.
async fn receive(socket: Arc<UdpSocket>) {
    let mut answer = [0; 2 * BYTES];
    loop {
        let Ok((length, _)) = socket.recv_from(&mut answer).await else {
            continue;
        };
        let at_ns = monotonic_ns();
        let (Some(number), Some(sent_ns), Some(name)) = (
            number(&answer, 0),
            number(&answer, 8),
            answer.get(BYTES..length),
        ) else {
            continue;
        };
        let by = String::from_utf8_lossy(name).into_owned();
        Told::Answered {
            at_ns,
            number,
            sent_ns,
            by,
        }
        .say();
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// One name and a resolver that remembers its address for the time to live.
struct Names {
    name: String,
    resolver: TokioResolver,
}

impl Names {
    fn new(name: String, server: IpAddr) -> anyhow::Result<Self> {
        let servers = vec![NameServerConfig::udp(server)];
        let config = ResolverConfig::from_name_servers(servers);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4Only;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().context("the resolver")?;
        Ok(Self { name, resolver })
    }

    /// The address as it is known at this moment; the one of before where nobody says.
    async fn now(&mut self, before: IpAddr) -> IpAddr {
        let found = self.resolver.lookup_ip(self.name.as_str()).await;
        let found = found.ok().and_then(|found| found.iter().next());
        let address = found.unwrap_or(before);
        if address != before {
            let at_ns = monotonic_ns();
            Told::Resolved { at_ns, address }.say();
        }
        address
    }
}
