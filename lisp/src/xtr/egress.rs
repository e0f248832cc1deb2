//! The way out: packets from the device into the tunnel.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockAddr, Socket};
use tun_rs::{IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::data::encap::{self, NotSent, Outer};
use crate::data::header::HEADER_BYTES;
use crate::data::icmp;
use crate::data::mtu::{Fit, fit, longest_inner, split};
use crate::data::outer::HEADROOM_BYTES;
use crate::data::packet::Packet;
use crate::data::table::Table;

use super::count::{Count, Tally};
use super::device::{fd, wait};
use super::forwarding::{Forwarding, Settings};
use super::held::Held;
use super::sender::{AT, Outgoing, Sender};

/// Packets that are read before they are sent.
const BATCH: usize = 64;

/// Slots for the parts of packets that are split.
const SPARE: usize = 16;

/// Senders that are told of packets that do not fit, in one second (RFC 4443, 2.4 asks for a limit).
const TOLD_PER_S: u32 = 100;

/// The parts of a thread that encapsulates.
pub(crate) struct Egress {
    /// The queue that packets are read from.
    pub device: Arc<SyncDevice>,
    /// Whether the device hands over parts of larger packets.
    pub merges: bool,
    /// The end of this thread: the other side is closed.
    pub stop: OwnedFd,
    /// The settings that never change.
    pub settings: Arc<Settings>,
    /// The forwarding table.
    pub forwarding: Forwarding,
    /// The sender of encapsulated packets.
    pub sender: Sender,
    /// The sockets that tell senders of packets that do not fit, with the address that says so, for each family.
    pub answers: Vec<(IpAddr, Socket)>,
    /// The longest packet that the device hands over.
    pub mtu: usize,
    /// The counters of this thread.
    pub tally: Tally,
}

impl Egress {
    /// Moves packets until the end, or until the device fails.
    pub(crate) fn run(self) -> io::Result<()> {
        let Self {
            device,
            merges,
            stop,
            settings,
            forwarding,
            mut sender,
            answers,
            mtu,
            mut tally,
        } = self;
        let (mut reader, changed) = forwarding.reader()?;
        let mut batch = Batch::new(&settings, merges, mtu);
        let mut answering = Answering::new(answers);
        let descriptors = [fd(&device), changed.as_fd()];
        while let Some(ready) = wait(stop.as_fd(), &descriptors)? {
            if ready & 0b10 != 0 {
                // Only that the table is another counts, not how often it became one.
                let _ = (&changed).read(&mut [0; 64]);
                let table = reader.load();
                batch.fill_with_held(table, &mut tally);
                batch.encapsulate(&settings, table, &forwarding, &mut answering, &mut tally);
                sender.send(&mut batch.slots, &batch.ready, &mut tally);
            }
            let mut is_drained = ready & 0b01 == 0;
            while !is_drained {
                is_drained = batch.fill(&device, &mut tally)?;
                let table = reader.load();
                batch.encapsulate(&settings, table, &forwarding, &mut answering, &mut tally);
                sender.send(&mut batch.slots, &batch.ready, &mut tally);
                tally.one(Count::Batches);
            }
            tally.publish();
        }
        Ok(())
    }
}

/// Packets on their way from the device to the sender.
struct Batch {
    /// Room for each packet, with room for headers before it; the last [`SPARE`] are for parts.
    slots: Vec<Vec<u8>>,
    /// The length of the packet in each slot.
    sizes: Vec<usize>,
    /// The number of slots that have packets.
    filled: usize,
    /// Packets that go into the tunnel.
    ready: Vec<Outgoing>,
    /// Room for a packet that comes as a whole and is cut into segments; none where none does.
    large: Vec<u8>,
    /// Slots that one reading may need.
    step: usize,
    /// Packets that wait for a mapping.
    held: Held,
}

impl Batch {
    fn new(settings: &Settings, merges: bool, mtu: usize) -> Self {
        // A packet that comes as a whole has at most as many segments as the slots that are then free.
        let (step, large) = if merges {
            (IDEAL_BATCH_SIZE, VIRTIO_NET_HDR_LEN + usize::from(u16::MAX))
        } else {
            (1, 0)
        };
        let count = BATCH + step - 1;
        let mut slot = vec![0; HEADROOM_BYTES + mtu];
        slot[AT..HEADROOM_BYTES].copy_from_slice(&settings.header().encode());
        Self {
            slots: vec![slot; count + SPARE],
            sizes: vec![0; count],
            filled: 0,
            ready: Vec::with_capacity(count + SPARE),
            large: vec![0; large],
            step,
            held: Held::default(),
        }
    }

    /// Reads packets until there are enough, or no more. Returns whether there are no more.
    fn fill(&mut self, device: &SyncDevice, tally: &mut Tally) -> io::Result<bool> {
        self.filled = 0;
        let count = self.sizes.len();
        while self.filled + self.step <= count {
            let free = self.filled..count;
            let read = device.recv_multiple(
                &mut self.large,
                &mut self.slots[free.clone()],
                &mut self.sizes[free],
                HEADROOM_BYTES,
            );
            match read {
                Ok(packets) => self.filled += packets,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                // The packet is none that can be cut into segments.
                Err(_) => tally.one(Count::Malformed),
            }
        }
        Ok(false)
    }

    /// Takes the packets that waited for a mapping which is there now.
    fn fill_with_held(&mut self, table: &Table, tally: &mut Tally) {
        let (packets, dropped) = self.held.release(table, Instant::now());
        tally.add(Count::NoMapping, dropped);
        self.filled = packets.len();
        for ((slot, size), packet) in self.slots.iter_mut().zip(&mut self.sizes).zip(&packets) {
            slot[HEADROOM_BYTES..][..packet.len()].copy_from_slice(packet);
            *size = packet.len();
        }
    }

    /// Decides for each packet, and makes ready those that go into the tunnel.
    fn encapsulate(
        &mut self,
        settings: &Settings,
        table: &Table,
        forwarding: &Forwarding,
        answering: &mut Answering,
        tally: &mut Tally,
    ) {
        self.ready.clear();
        let mut spare = self.sizes.len();
        for slot in 0..self.filled {
            let end = HEADROOM_BYTES + self.sizes[slot];
            let bytes = &self.slots[slot][HEADROOM_BYTES..end];
            let (packet, to) = match judge(settings, table, bytes) {
                Ok(judged) => judged,
                Err(dropped) => {
                    if let (Count::NoMapping, Ok(packet)) = (dropped, Packet::parse(bytes)) {
                        forwarding.miss(packet.destination);
                        let dropped = self.held.push(bytes, Instant::now());
                        tally.add(Count::NoMapping, dropped);
                    } else {
                        tally.one(dropped);
                    }
                    continue;
                }
            };
            let outer = Outer::of(&packet);
            let mut ready = |slot, bytes: usize| {
                tally.one(Count::Packets);
                tally.add(Count::Bytes, bytes);
                self.ready.push(Outgoing {
                    slot,
                    bytes: HEADER_BYTES + bytes,
                    to,
                    outer,
                });
            };
            let longest = longest_inner(settings.link_bytes, to);
            match fit(&packet, longest) {
                Fit::Whole => ready(slot, packet.total_bytes),
                Fit::TooBig => {
                    tally.one(Count::TooBig);
                    if answering.tell(bytes, &packet, longest) {
                        tally.one(Count::Told);
                    }
                }
                Fit::Split => {
                    let (packets, spares) = self.slots.split_at_mut(self.sizes.len());
                    let bytes = &packets[slot][HEADROOM_BYTES..end];
                    let mut lost = 0;
                    split(bytes, &packet, longest, |part| {
                        let room = spares.get_mut(spare - packets.len());
                        let room = room.and_then(|room| room.get_mut(HEADROOM_BYTES..));
                        match room.and_then(|room| room.get_mut(..part.len())) {
                            Some(room) => {
                                room.copy_from_slice(part);
                                ready(spare, part.len());
                                spare += 1;
                            }
                            None => lost += 1,
                        }
                    });
                    tally.one(Count::Split);
                    tally.add(Count::TooBig, lost);
                }
            }
        }
    }
}

/// The locator of a packet, or why it has none.
fn judge(settings: &Settings, table: &Table, bytes: &[u8]) -> Result<(Packet, IpAddr), Count> {
    let packet = Packet::parse(bytes).map_err(|_| Count::Malformed)?;
    if !settings.is_ours(packet.source) {
        return Err(Count::ForeignSource);
    }
    let to = encap::locator(table, &packet).map_err(|not_sent| match not_sent {
        NotSent::NoMapping => Count::NoMapping,
        NotSent::NoLocator => Count::NoLocator,
        NotSent::Denied => Count::Denied,
        NotSent::Native => Count::Native,
        NotSent::Expired => Count::Expired,
    })?;
    settings.locator_beside(to).ok_or(Count::NoLocator)?;
    Ok((packet, to))
}

/// The part that tells senders of packets that do not fit.
struct Answering {
    sockets: Vec<(IpAddr, Socket)>,
    since: Instant,
    told: u32,
}

impl Answering {
    fn new(sockets: Vec<(IpAddr, Socket)>) -> Self {
        Self {
            sockets,
            since: Instant::now(),
            told: 0,
        }
    }

    /// Tells the sender of `packet` how much fits; returns whether it was told.
    fn tell(&mut self, bytes: &[u8], packet: &Packet, mtu: usize) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.told) = (Instant::now(), 0);
        }
        let mut sockets = self.sockets.iter();
        let ours = sockets.find(|(from, _)| from.is_ipv4() == packet.source.is_ipv4());
        let (Some((from, socket)), Ok(mtu)) = (ours, u16::try_from(mtu)) else {
            return false;
        };
        let Some(answer) = icmp::too_big(bytes, packet, mtu, *from) else {
            return false;
        };
        if self.told >= TOLD_PER_S {
            return false;
        }
        self.told += 1;
        let to = SockAddr::from(SocketAddr::new(packet.source, 0));
        socket.send_to(&answer, &to).is_ok()
    }
}
