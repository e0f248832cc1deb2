//! The control port of the tunnel router: the [control machine](crate::edge) with sockets, a clock, probes, and the forwarding table
//! that comes of what it knows.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::select_all;
use service::{Shutdown, StartError, clock};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Receiver;

use crate::data::table::{Path, Table};
use crate::edge::{Control, Event, Ignored};
use crate::eid::{Eid, InstanceId};
use crate::mapping::Mapping;
use crate::ports::CONTROL_PORT;
use crate::told::{Told, monotonic_ns};
use crate::transmit::Transmit;
use crate::wire::{
    Action, Locator, MAX_MESSAGE_BYTES, MapRequest, Message, ReplyFlags, RequestFlags,
};

use super::args::XtrArgs;
use super::follow::{self, Changes, addresses, has_link};
use super::forwarding::Forwarding;
use super::probing::Probing;
use super::reported::{self, ReportedPaths};
use super::seen::ControlMetrics;

/// Datagrams that are taken before what they led to is sent.
const AT_ONCE: usize = 64;

/// How often the machine is looked at though nothing is due.
const LOOK: Duration = Duration::from_secs(1);

/// How often the link is looked at that registrations depend on: the kernel tells of links that go once a second at most.
const GLANCE: Duration = Duration::from_millis(50);

/// How long withdrawals may take at the end.
const WITHDRAWING: Duration = Duration::from_millis(500);

/// Minutes that what is registered may be used without being asked for again.
const TTL_MINUTES: u32 = 1440;

/// Something that the control plane waits for.
enum Happened {
    /// The time has come for something that is due.
    Time,
    /// A socket has a datagram: the one of this number.
    Readable(usize),
    /// A packet for this destination has no mapping.
    Missed(IpAddr),
    /// Addresses or links of interfaces have come or gone.
    Interfaces,
}

/// The records that are registered at the Map-Server, and when.
struct Registering {
    eids: Vec<Eid>,
    priority: u8,
    weight: u8,
    /// The interface without whose link nothing is registered.
    interface: Option<String>,
    /// Whether it is registered, or about to be.
    is_on: bool,
}

/// A control plane that has its sockets.
pub(crate) struct ControlPlane {
    sockets: Vec<(IpAddr, UdpSocket)>,
    control: Control,
    probing: Option<Probing>,
    instance: InstanceId,
    locators: Vec<IpAddr>,
    /// The interface that the locators are of.
    followed: Option<String>,
    registering: Registering,
    /// Changes of interfaces, where one is looked at.
    changes: Option<Changes>,
    forwarding: Forwarding,
    /// Mappings that were given, below those that are learnt.
    given: Table,
    learnt: BTreeMap<Eid, Arc<Mapping>>,
    /// Where packets of each learnt prefix go, as it was reported last; none where no events are printed.
    reported: Option<ReportedPaths>,
    seen: ControlMetrics,
}

impl ControlPlane {
    /// Binds the control port; none when no Map-Server is named.
    pub(crate) fn open(args: &XtrArgs, forwarding: &Forwarding) -> anyhow::Result<Option<Self>> {
        let Some(mut config) = args.mapping.edge(&args.locators)? else {
            return Ok(None);
        };
        let instance = InstanceId::try_from(args.instance).context("--instance has 24 bits")?;
        let endpoints = args.endpoints.iter();
        config.serves = endpoints
            .map(|prefix| Eid::new(instance, *prefix))
            .collect();
        let sockets = args.locators.iter().map(|locator| bind(*locator));
        let sockets = sockets.collect::<Result<_, _>>()?;
        let mapping = &args.mapping;
        let looks = args.locator_of.is_some() || mapping.register_while.is_some();
        let changes = looks.then(Changes::open).transpose();
        let changes = changes.context("the kernel tells no changes of interfaces")?;
        let registered = mapping.register.iter();
        let registering = Registering {
            eids: registered
                .map(|prefix| Eid::new(instance, *prefix))
                .collect(),
            priority: mapping.priority,
            weight: mapping.weight,
            interface: mapping.register_while.clone(),
            is_on: false,
        };
        let now = Instant::now();
        let random = Box::new(random);
        let control = Control::new(config, clock::now().0.saturating_mul(1000), random, now);
        Ok(Some(Self {
            sockets,
            control,
            probing: mapping.probe_interval().map(Probing::new),
            instance,
            locators: args.locators.clone(),
            followed: args.locator_of.clone(),
            registering,
            changes,
            forwarding: forwarding.clone(),
            given: (*forwarding.current()).clone(),
            learnt: BTreeMap::new(),
            reported: args.events.then(ReportedPaths::default),
            seen: ControlMetrics::default(),
        }))
    }

    /// The metrics of what the control plane has done, for others to read.
    pub(crate) fn metrics(&self) -> ControlMetrics {
        self.seen.clone()
    }

    /// Registers, asks, subscribes, answers and probes until the shutdown, and then withdraws what was registered.
    pub(crate) async fn run(mut self, mut misses: Receiver<IpAddr>, shutdown: Shutdown) {
        let mut buffer = vec![0; MAX_MESSAGE_BYTES + 1];
        // Addresses may have changed before changes were told.
        self.move_along();
        self.attach();
        while !shutdown.has_fired() {
            self.step(&mut misses, &mut buffer, &shutdown.clone()).await;
        }
        let registered: Vec<_> = self
            .control
            .registered()
            .map(|(record, _)| record.eid)
            .collect();
        for eid in registered {
            self.control.withdraw(&eid, Instant::now());
        }
        let withdrawn = async {
            while self.control.registered().next().is_some() {
                self.step(&mut misses, &mut buffer, &Shutdown::new()).await;
            }
        };
        // What cannot be withdrawn now ends by itself at the Map-Server.
        let _ = tokio::time::timeout(WITHDRAWING, withdrawn).await;
    }

    /// Sends what is to be sent, waits for the next that happens, and takes it.
    async fn step(&mut self, misses: &mut Receiver<IpAddr>, buffer: &mut [u8], until: &Shutdown) {
        self.apply(Instant::now());
        self.send_all().await;
        let probing = self.probing.as_ref().and_then(Probing::next_time);
        let attached = self.registering.interface.as_ref();
        let glance = attached.map(|_| Instant::now() + GLANCE);
        let next = [self.control.next_time(), probing, glance]
            .into_iter()
            .flatten()
            .min();
        let next = next.unwrap_or_else(|| Instant::now() + LOOK);
        let readable = select_all(
            self.sockets
                .iter()
                .map(|(_, socket)| Box::pin(socket.readable())),
        );
        let happened = tokio::select! {
            () = until.fired() => return,
            () = tokio::time::sleep_until(next.into()) => Happened::Time,
            (result, index, _) = readable => match result {
                Ok(()) => Happened::Readable(index),
                Err(error) => {
                    tracing::warn!("the control port: {error}");
                    Happened::Time
                }
            },
            Some(destination) = misses.recv() => Happened::Missed(destination),
            () = changed(self.changes.as_ref()) => Happened::Interfaces,
        };
        match happened {
            Happened::Time => self.attach(),
            Happened::Readable(index) => self.take(index, buffer),
            Happened::Missed(destination) => {
                let host = Eid::host(self.instance, destination);
                self.control.want(host, Instant::now());
            }
            Happened::Interfaces => {
                self.move_along();
                self.attach();
            }
        }
        let now = Instant::now();
        if self.control.next_time().is_some_and(|next| next <= now) {
            self.control.on_time(now);
        }
        self.probe(now).await;
    }

    /// Takes the addresses that the interface has now as locators, if they are others.
    fn move_along(&mut self) {
        let Some(interface) = &self.followed else {
            return;
        };
        let found = addresses(interface).unwrap_or_default();
        let locators = follow::after(&self.locators, &found);
        if locators == self.locators {
            return;
        }
        let at_ns = monotonic_ns();
        let sockets: Result<_, _> = locators.iter().map(|locator| bind(*locator)).collect();
        match sockets {
            Ok(sockets) => self.sockets = sockets,
            // It may have gone again; the next change says so.
            Err(error) => {
                tracing::warn!(interface, "cannot move: {error}");
                return;
            }
        }
        tracing::info!(from = ?self.locators, to = ?locators, "moved");
        self.locators.clone_from(&locators);
        if self.reported.is_some() {
            let locators = locators.clone();
            Told::Moved { at_ns, locators }.say();
        }
        self.control.relocate(locators, Instant::now());
    }

    /// Registers what is to be registered, or withdraws it, as the link of its interface has come or gone.
    fn attach(&mut self) {
        let at_ns = monotonic_ns();
        let Registering {
            eids,
            priority,
            weight,
            interface,
            is_on,
        } = &mut self.registering;
        // What cannot be looked at is as it was.
        let link = interface
            .as_ref()
            .map(|name| has_link(name).unwrap_or(*is_on));
        let is_attached = link.unwrap_or(true);
        if std::mem::replace(is_on, is_attached) == is_attached {
            return;
        }
        let now = Instant::now();
        for eid in eids {
            if is_attached {
                let ours = self.locators.iter();
                let ours = ours.map(|locator| Locator::new(*locator, *priority, *weight));
                self.control
                    .register(*eid, TTL_MINUTES, ours.collect(), now);
            } else {
                self.control.withdraw(eid, now);
            }
        }
        if let Some(interface) = interface {
            tracing::info!(interface, is_attached, "the link of what is registered");
            if self.reported.is_some() {
                Told::Attached { at_ns, is_attached }.say();
            }
        }
    }

    fn take(&mut self, index: usize, buffer: &mut [u8]) {
        for _ in 0..AT_ONCE {
            let (length, source) = match self.sockets[index].1.try_recv_from(buffer) {
                Ok(received) => received,
                Err(error) => {
                    // ICMP of an earlier datagram of ours comes back as an error here.
                    if error.kind() != io::ErrorKind::WouldBlock {
                        tracing::debug!("the control port: {error}");
                    }
                    return;
                }
            };
            let now = Instant::now();
            let bytes = &buffer[..length];
            if let Some(was_down) = self.answer_to_probe(bytes, now) {
                if was_down {
                    self.install(now);
                }
            } else if let Err(ignored) = self.control.handle(source, bytes, now) {
                tell(source, ignored);
            }
        }
    }

    /// Whether these bytes are the answer to a probe of ours, and its locator was down.
    fn answer_to_probe(&mut self, bytes: &[u8], now: Instant) -> Option<bool> {
        let probing = self.probing.as_mut()?;
        match Message::parse(bytes) {
            Ok(Message::Reply(reply)) if reply.flags.contains(ReplyFlags::PROBE) => {
                probing.answered(reply.nonce, now)
            }
            _ => None,
        }
    }

    async fn probe(&mut self, now: Instant) {
        let Some(probing) = &mut self.probing else {
            return;
        };
        let (probes, has_changed) = probing.on_time(now, random);
        for probe in probes {
            let mut request = MapRequest::new(probe.nonce, probe.eid, self.locators.clone());
            request.flags |= RequestFlags::PROBE;
            let to = SocketAddr::new(probe.locator, CONTROL_PORT);
            let payload = request.encode();
            send(&self.sockets, &Transmit { to, payload }).await;
        }
        if has_changed {
            self.install(now);
        }
    }

    async fn send_all(&mut self) {
        while let Some(transmit) = self.control.poll_transmit() {
            send(&self.sockets, &transmit).await;
        }
        let round_trips = self.probing.iter().flat_map(Probing::round_trips);
        self.seen.set(self.control.counts(), round_trips);
    }

    /// Takes what the machine has learnt into the forwarding table.
    fn apply(&mut self, now: Instant) {
        let mut has_changed = false;
        while let Some(event) = self.control.poll_event() {
            match event {
                Event::Mapping(mapping) => {
                    tracing::info!(eid = %mapping.eid, locators = mapping.locators.len(), "mapping");
                    self.learnt.insert(mapping.eid, mapping);
                    has_changed = true;
                }
                Event::Gone(eid) => has_changed |= self.learnt.remove(&eid).is_some(),
                Event::Registered { eid, took } => {
                    tracing::info!(%eid, took_ms = took.as_millis(), "registered");
                }
                Event::Withdrawn(eid) => tracing::info!(%eid, "withdrawn"),
                Event::Refused(eid) => {
                    tracing::warn!(%eid, "the Map-Server refused the registration");
                }
            }
        }
        if has_changed {
            self.install(now);
        }
    }

    /// Puts a new forwarding table in place.
    fn install(&mut self, now: Instant) {
        if let Some(probing) = &mut self.probing {
            let ours = &self.locators;
            let used = self.learnt.values().flat_map(|mapping| {
                let locators = mapping
                    .locators
                    .iter()
                    .filter(|locator| locator.is_usable());
                locators.map(|locator| (locator.address, mapping.eid))
            });
            probing.set(used.filter(|(locator, _)| !ours.contains(locator)), now);
        }
        let is_up = |locator| {
            self.probing
                .as_ref()
                .is_none_or(|probing| probing.is_up(locator))
        };
        let mut table = self.given.clone();
        for (eid, mapping) in &self.learnt {
            if let Some(path) = path(mapping, is_up) {
                table.set(eid.prefix(), path);
            }
        }
        // The time before the change: a packet may take the new way at once.
        let at_ns = monotonic_ns();
        let ways = self.reported.as_ref().map(|_| {
            let ways = self
                .learnt
                .keys()
                .map(|eid| (*eid, table.path(eid.address())));
            reported::ways(ways)
        });
        self.forwarding.set(table);
        if let (Some(reported), Some(ways)) = (&mut self.reported, ways) {
            reported.change(ways, at_ns);
        }
    }
}

/// Each is counted too; the log lets through so many lines of one place in a time.
fn tell(source: SocketAddr, ignored: Ignored) {
    match ignored {
        // What an ordinary network leads to: what came twice, or came late.
        Ignored::Replay { nonce, last } if nonce == last => {
            tracing::debug!(%source, "ignored: {ignored}");
        }
        Ignored::NotOurs(_) => tracing::debug!(%source, "ignored: {ignored}"),
        Ignored::Unasked => tracing::info!(%source, "ignored: {ignored}"),
        _ => tracing::warn!(%source, "ignored: {ignored}"),
    }
}

/// The control port of a locator, with the locator.
fn bind(locator: IpAddr) -> Result<(IpAddr, UdpSocket), StartError> {
    let address = SocketAddr::new(locator, CONTROL_PORT);
    let bound = std::net::UdpSocket::bind(address).and_then(|socket| {
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    });
    let failed = |source| StartError::from_listen(address, "--locator (XR_LOCATOR)", source);
    bound.map(|socket| (locator, socket)).map_err(failed)
}

/// Waits until addresses or links of interfaces have changed; for ever where none is looked at.
async fn changed(changes: Option<&Changes>) {
    let Some(changes) = changes else {
        return std::future::pending().await;
    };
    if let Err(error) = changes.next().await {
        tracing::warn!("changes of interfaces: {error}");
        // Looked at now and then all the same.
        tokio::time::sleep(LOOK).await;
    }
}

/// Sends a datagram from the socket of its family.
async fn send(sockets: &[(IpAddr, UdpSocket)], transmit: &Transmit) {
    let is_same = |(locator, _): &&(IpAddr, _)| locator.is_ipv4() == transmit.to.is_ipv4();
    let Some((_, socket)) = sockets.iter().find(is_same) else {
        tracing::debug!(to = %transmit.to, "no locator of this family");
        return;
    };
    // Whatever is lost is tried again.
    if let Err(error) = socket.send_to(&transmit.payload, transmit.to).await {
        tracing::debug!(to = %transmit.to, "cannot send: {error}");
    }
}

/// The path of packets by a mapping; none when the next packet is to ask again.
fn path(mapping: &Mapping, is_up: impl Fn(IpAddr) -> bool) -> Option<Path> {
    if mapping.locators.is_empty() {
        return match mapping.action {
            Action::SendMapRequest => None,
            Action::NativelyForward => Some(Path::Natively),
            _ => Some(Path::Drop),
        };
    }
    let answers = |locator: &&Locator| is_up(locator.address);
    let locators: Vec<_> = mapping.locators.iter().filter(answers).copied().collect();
    // When none answers, what was registered is still the best that is known.
    let locators = if locators.is_empty() {
        mapping.locators.clone()
    } else {
        locators
    };
    Some(Path::Tunnel(locators))
}

/// A number from the system, which nobody can guess.
fn random() -> u64 {
    // It fails only before the kernel's generator is ready, long before programs run; a nonce of the clock is then unique at least.
    getrandom::u64().unwrap_or_else(|_| clock::now().0)
}
