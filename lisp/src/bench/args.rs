//! The command line of `xr-lisp bench`.

use std::net::SocketAddr;
use std::path::PathBuf;

use service::args::{Common, whole};

use super::contender::Contender;
use super::creation::CreationArgs;
use super::keeper::KeeperArgs;
use super::mobility::MobilityArgs;
use super::recovery::RecoveryArgs;
use super::serve::ServeArgs;
use super::stream::StreamArgs;
use crate::agent::GivenArgs;

/// Experiments on this machine: what a tunnel costs, how long a fault takes, how long a move, and how long a Service.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// What is measured
    #[command(subcommand)]
    pub(crate) command: BenchCommand,
    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,
}

/// An experiment, or a program that one starts.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum BenchCommand {
    /// Throughput, packets, processor time and latency of the tunnel; as root, with iperf3, ethtool, oor, wg and wireguard-go
    Data(DataArgs),
    /// How long a service is away that fails in one cluster and runs in another, with a publication, a solicitation, probes and names; as root
    Recovery(RecoveryArgs),
    /// How long a client is away that gets another tunnel router, or its tunnel router another address; as root
    Mobility(MobilityArgs),
    /// How long a shared Service takes from its creation until it is registered, on an API server that runs
    Creation(CreationArgs),
    /// The agent of a cluster without a Kubernetes
    #[command(hide = true)]
    Agent(Box<GivenArgs>),
    /// The service: answers requests with its name
    #[command(hide = true)]
    Serve(ServeArgs),
    /// The client: sends requests at a steady pace
    #[command(hide = true)]
    Stream(StreamArgs),
    /// Keeps a name at the address of a cluster that has the service
    #[command(hide = true)]
    Keeper(KeeperArgs),
    /// Answers every UDP datagram, until it is ended; `data` starts it where a far end is
    #[command(hide = true)]
    Echo {
        /// Where it listens
        #[arg(long)]
        listen: SocketAddr,
    },
    /// Sends a UDP datagram, waits for it to come back, and sends the next; prints the round trips
    #[command(hide = true)]
    Ping {
        /// Who answers
        #[arg(long)]
        to: SocketAddr,
        /// How many
        #[arg(long, value_parser = whole::<usize>(0..=usize::MAX))]
        count: usize,
        /// After how long one counts as lost, in milliseconds
        #[arg(long, default_value_t = 1000, value_parser = whole::<u32>(1..=u32::MAX))]
        patience_ms: u32,
    },
}

/// The arguments of `xr-lisp bench data`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DataArgs {
    /// Folder of the raw data, data.csv and latency.csv; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "bench-lisp")]
    pub out: PathBuf,
    /// Repetitions, each with every contender
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = whole::<u16>(1..=u16::MAX))]
    pub repetitions: u16,
    /// Lengths of Ethernet frames, in bytes
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_values_t = [256, 512, 1024, 1280, 1518], value_parser = whole::<u16>(128..=1518))]
    pub sizes: Vec<u16>,
    /// Who is measured
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_enum, default_values_t = Contender::ALL)]
    pub contenders: Vec<Contender>,
    /// Seconds of each measurement
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = whole::<u16>(1..=600))]
    pub seconds: u16,
    /// TCP streams of each measurement
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = whole::<u16>(1..=100))]
    pub streams: u16,
    /// Round trips of each measurement of latency
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = whole::<usize>(0..=usize::MAX))]
    pub pings: usize,
    /// Only latency, no throughput
    #[arg(long)]
    pub only_latency: bool,
}
