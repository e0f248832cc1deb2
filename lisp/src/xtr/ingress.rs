//! The way in: packets out of the tunnel, into the device.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use socket2::Socket;
use tun_rs::{GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use crate::data::decap::{NotTaken, decapsulate};
use crate::data::header::HEADER_BYTES;

use super::count::{Count, Tally};
use super::device::wait;
use super::forwarding::Settings;
use super::mmsg::{Inbox, Received};

/// Datagrams that are received in one call.
const BATCH: usize = 64;

/// Datagrams that are received in one call where each may be as long as 64 kB.
const LARGE_BATCH: usize = 8;

/// The longest datagram, or row of datagrams of one length.
const LARGE_BYTES: usize = 1 << 16;

/// The parts of a thread that decapsulates.
pub(crate) struct Ingress {
    /// The queue that packets are written to.
    pub device: Arc<SyncDevice>,
    /// Whether the device takes parts of one flow as a larger packet.
    pub merges: bool,
    /// The sockets that packets come from, one for each of our locators.
    pub sockets: Vec<Socket>,
    /// Whether the sockets hand over several datagrams as one.
    pub receives_rows: bool,
    /// The end of this thread: the other side is closed.
    pub stop: OwnedFd,
    /// The settings that never change.
    pub settings: Arc<Settings>,
    /// The counters of this thread.
    pub tally: Tally,
}

impl Ingress {
    /// Moves packets until the end, or until the device fails.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut inbox = if self.receives_rows {
            Inbox::new(LARGE_BATCH, LARGE_BYTES)
        } else {
            Inbox::new(BATCH, self.settings.link_bytes.max(2048))
        };
        let mut outlet = Outlet::new(Arc::clone(&self.device), self.merges);
        let descriptors: Vec<_> = self.sockets.iter().map(|socket| socket.as_fd()).collect();
        while let Some(ready) = wait(self.stop.as_fd(), &descriptors)? {
            for (index, socket) in descriptors.iter().enumerate() {
                if ready & 1 << index == 0 {
                    continue;
                }
                // An error that a packet of ours brought back from the network is none of the socket's.
                while let Ok(has_more) = inbox.receive(*socket) {
                    for (bytes, received) in inbox.datagrams() {
                        take(
                            &self.settings,
                            bytes,
                            received,
                            &mut outlet,
                            &mut self.tally,
                        )?;
                    }
                    outlet.flush(&mut self.tally)?;
                    self.tally.one(Count::Batches);
                    if !has_more {
                        break;
                    }
                }
            }
            self.tally.publish();
        }
        Ok(())
    }
}

/// Takes what was received as one apart, and each datagram's headers off.
fn take(
    settings: &Settings,
    bytes: &mut [u8],
    received: Received,
    outlet: &mut Outlet,
    tally: &mut Tally,
) -> io::Result<()> {
    if received.is_cut_off {
        tally.one(Count::CutOff);
        return Ok(());
    }
    for datagram in bytes.chunks_mut(received.segment.max(1)) {
        let packet = match decapsulate(datagram, received.seen, settings.instance) {
            Ok(packet) => packet,
            Err(not_taken) => {
                tally.one(match not_taken {
                    NotTaken::Header(_) => Count::Header,
                    NotTaken::Inner(_) => Count::Malformed,
                    NotTaken::Instance(_) => Count::Instance,
                    NotTaken::Congestion => Count::Congestion,
                    NotTaken::Expired => Count::Expired,
                });
                continue;
            }
        };
        // RFC 9300, 16: an ETR is no relay for whoever knows its address.
        if !settings.is_ours(packet.destination) {
            tally.one(Count::ForeignDestination);
            continue;
        }
        tally.one(Count::Packets);
        tally.add(Count::Bytes, packet.total_bytes);
        let inner = &datagram[HEADER_BYTES..HEADER_BYTES + packet.total_bytes];
        outlet.push(inner, tally)?;
    }
    Ok(())
}

/// The writer of packets to the device.
struct Outlet {
    device: Arc<SyncDevice>,
    /// Packets that wait to be merged, and the table by which they are; none where the device takes single packets only.
    merging: Option<(GROTable, Vec<Vec<u8>>)>,
    waiting: usize,
}

impl Outlet {
    fn new(device: Arc<SyncDevice>, merges: bool) -> Self {
        let buffer = || Vec::with_capacity(2 * VIRTIO_NET_HDR_LEN + usize::from(u16::MAX));
        let buffers = || (0..IDEAL_BATCH_SIZE).map(|_| buffer()).collect();
        Self {
            device,
            merging: merges.then(|| (GROTable::new(), buffers())),
            waiting: 0,
        }
    }

    fn push(&mut self, packet: &[u8], tally: &mut Tally) -> io::Result<()> {
        let Some((_, buffers)) = &mut self.merging else {
            let written = self.device.send(packet);
            return refused(written, 1, tally);
        };
        let buffer = &mut buffers[self.waiting];
        buffer.clear();
        buffer.extend_from_slice(&[0; VIRTIO_NET_HDR_LEN]);
        buffer.extend_from_slice(packet);
        self.waiting += 1;
        if self.waiting == buffers.len() {
            self.flush(tally)?;
        }
        Ok(())
    }

    fn flush(&mut self, tally: &mut Tally) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        match &mut self.merging {
            Some((table, buffers)) if waiting > 0 => {
                let waiting = &mut buffers[..waiting];
                let written = self
                    .device
                    .send_multiple(table, waiting, VIRTIO_NET_HDR_LEN);
                refused(written, 1, tally)
            }
            _ => Ok(()),
        }
    }
}

/// Counts what the device did not take; an error when there is no device any more.
fn refused(written: io::Result<usize>, packets: usize, tally: &mut Tally) -> io::Result<()> {
    let Err(error) = written else {
        return Ok(());
    };
    if error.raw_os_error() == Some(nix::libc::EBADFD) {
        return Err(error);
    }
    tally.add(Count::Refused, packets);
    Ok(())
}
