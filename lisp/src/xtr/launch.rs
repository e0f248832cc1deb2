//! From the command line to running threads, and to their end.

use std::io::PipeWriter;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use prometheus_client::metrics::info::Info;
use service::ops::Ops;
use service::{Shutdown, ready};
use tokio::sync::mpsc;

use crate::data::table::Table;

use super::args::{Offloads, XtrArgs};
use super::control::ControlPlane;
use super::count::{Count, Counts, Tally, Way};
use super::device::{Device, Wanted};
use super::egress::Egress;
use super::forwarding::{Forwarding, Settings};
use super::ingress::Ingress;
use super::sender::Sender;
use super::{privileges, sockets};

/// The name of the program.
const PROGRAM: &str = "xr-lisp-xtr";

/// Everything that is open, before the first packet is moved.
struct Opened {
    pairs: Vec<(Egress, Ingress)>,
    stop: PipeWriter,
    counts: Counts,
    /// The facilities of the system that are in use, for people.
    modes: Vec<(&'static str, &'static str)>,
}

/// Opens everything that takes rights.
fn open(args: &XtrArgs, forwarding: &Forwarding) -> anyhow::Result<Opened> {
    let wants_offloads = args.offloads == Offloads::Auto;
    let locators = args.data_addresses();
    let settings = Arc::new(Settings {
        instance: args.instance,
        locators: locators.clone(),
        endpoints: args.endpoints.iter().map(ipnet::IpNet::trunc).collect(),
        link_bytes: usize::from(args.link_mtu),
    });
    let (queues, mtu) = (usize::from(args.queues), args.device_mtu());
    let mut receivers = Vec::new();
    let mut receives_rows = wants_offloads;
    for _ in 0..queues {
        let mut sockets = Vec::new();
        for &locator in &locators {
            let opened = sockets::receiver(locator, queues > 1, wants_offloads);
            let (socket, rows) = opened.with_context(|| {
                format!("cannot receive at {locator} port 4341, from --locator (XR_LOCATOR): give an address of this machine whose port is free")
            })?;
            receives_rows &= rows;
            sockets.push(socket);
        }
        receivers.push(sockets);
    }
    let routes = args.routes();
    let device = Device::open(&Wanted {
        name: &args.device,
        queues,
        merges: wants_offloads,
        mtu,
        addresses: &args.addresses,
        routes: &routes,
    })?;
    let (stopped, stop) = std::io::pipe()?;
    let stopped = OwnedFd::from(stopped);
    let mut pairs = Vec::new();
    let mut published = Vec::new();
    let mut sending = "";
    for (queue, sockets) in device.queues.iter().zip(receivers) {
        let sender = if wants_offloads {
            Sender::segments(&locators)
        } else {
            Sender::whole(&locators)
        };
        let sender =
            sender.context("cannot open the sockets that send: whole packets take CAP_NET_RAW")?;
        sending = sender.name();
        let (out, back) = (Tally::new(Way::Out), Tally::new(Way::In));
        published.extend([out.published(), back.published()]);
        let egress = Egress {
            device: Arc::clone(queue),
            merges: device.merges,
            stop: stopped.try_clone()?,
            settings: Arc::clone(&settings),
            forwarding: forwarding.clone(),
            sender,
            answers: answers(args)?,
            mtu,
            tally: out,
        };
        let ingress = Ingress {
            device: Arc::clone(queue),
            merges: device.merges,
            sockets,
            receives_rows,
            stop: stopped.try_clone()?,
            settings: Arc::clone(&settings),
            tally: back,
        };
        pairs.push((egress, ingress));
    }
    let say = |merges, yes, no| if merges { yes } else { no };
    Ok(Opened {
        pairs,
        stop,
        counts: Counts(published),
        modes: vec![
            (
                "device",
                say(device.merges, "merged packets", "single packets"),
            ),
            ("sending", sending),
            (
                "receiving",
                say(receives_rows, "rows of datagrams", "single datagrams"),
            ),
        ],
    })
}

/// The sockets that tell senders of packets that do not fit: from our locator of the packet's family, else the device's address.
fn answers(args: &XtrArgs) -> anyhow::Result<Vec<(IpAddr, socket2::Socket)>> {
    let device = args.addresses.iter().map(ipnet::IpNet::addr);
    let addresses: Vec<_> = args.locators.iter().copied().chain(device).collect();
    let of_family = |is_ipv4| {
        addresses
            .iter()
            .find(|address| address.is_ipv4() == is_ipv4)
    };
    let families = [of_family(true), of_family(false)];
    let open = |&address: &IpAddr| {
        let socket = sockets::raw(address);
        socket
            .map(|socket| (address, socket))
            .context("cannot open the socket of ICMP: that takes CAP_NET_RAW")
    };
    families.into_iter().flatten().map(open).collect()
}

/// Threads that move packets.
struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: PipeWriter,
}

/// Starts the threads; the first that fails says so in `failed`.
fn start(
    pairs: Vec<(Egress, Ingress)>,
    stop: PipeWriter,
    failed: &mpsc::Sender<anyhow::Error>,
) -> anyhow::Result<Running> {
    let mut threads = Vec::new();
    for (index, (egress, ingress)) in pairs.into_iter().enumerate() {
        let mut spawn = |name: &str, work: Box<dyn FnOnce() -> std::io::Result<()> + Send>| {
            let failed = failed.clone();
            let thread = std::thread::Builder::new().name(format!("{name}-{index}"));
            let thread = thread.spawn(move || {
                if let Err(error) = work() {
                    let error = anyhow::Error::new(error);
                    // Whoever failed before has ended the program already.
                    let _ = failed
                        .try_send(error.context("the tunnel router's device or socket failed"));
                }
            });
            threads.push(thread?);
            std::io::Result::Ok(())
        };
        spawn("lisp-out", Box::new(|| egress.run()))?;
        spawn("lisp-in", Box::new(|| ingress.run()))?;
    }
    Ok(Running { threads, stop })
}

impl Running {
    /// Ends the threads, which drop what they have not moved.
    fn end(self) {
        drop(self.stop);
        for thread in self.threads {
            // A panic has been printed already.
            let _ = thread.join();
        }
    }
}

/// Carries packets until the shutdown.
pub async fn run(mut args: XtrArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    args.find_locators()?;
    args.check()?;
    let address = args.common.ops.context("--ops has a default")?;
    let mappings = args.mappings.iter().cloned();
    let table = Table::new(mappings.map(|mapping| (mapping.prefix, mapping.path)));
    let (forwarding, misses) = Forwarding::new(table);
    let control = ControlPlane::open(&args, &forwarding)?;
    let opened = open(&args, &forwarding)?;
    let mut ops = Ops::new(PROGRAM);
    ops.registry
        .register_collector(Box::new(Counts(opened.counts.0.clone())));
    if let Some(control) = &control {
        ops.registry.register_collector(Box::new(control.metrics()));
    }
    let modes = opened.modes.clone();
    ops.registry.register(
        "xr_lisp_data_mode",
        "What the data plane uses of what the system has",
        Info::new(modes),
    );
    let ready = ops.ready.clone();
    let ops = ops.bind(address, &shutdown).await?;
    privileges::give_up(args.user)?;
    tracing::info!(mappings = forwarding.current().len(), modes = ?opened.modes, "tunnel router");
    let (failed, mut failure) = mpsc::channel(1);
    let running = start(opened.pairs, opened.stop, &failed)?;
    ready.set_ready();
    ready::announce(
        PROGRAM,
        &[
            ("ops", ops.local_addr().to_string()),
            ("device", args.device.clone()),
        ],
    );
    // A tunnel router whose mappings are all given asks nobody about others.
    let control = control.map(|control| tokio::spawn(control.run(misses, shutdown.clone())));
    let result = tokio::select! {
        () = shutdown.fired() => Ok(()),
        error = failure.recv() => Err(error.unwrap_or_else(|| anyhow::anyhow!("the threads are gone"))),
    };
    if let (Some(control), Ok(())) = (control, &result) {
        control
            .await
            .context("the control plane of the tunnel router")?;
    }
    running.end();
    let (out, back) = (
        opened.counts.total(Way::Out, Count::Packets),
        opened.counts.total(Way::In, Count::Packets),
    );
    tracing::info!(out, back, "tunnel router ended");
    ops.stop().await;
    result
}
