//! The packets that a link holds: two lines of them, each in the order of its instants, in buffers that are used again.

use std::collections::VecDeque;
use std::time::Duration;

/// What may be held. Beyond it, a packet is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub packets: usize,
    pub bytes: usize,
}

impl Default for Limits {
    /// 32 768 packets and 32 MiB: 25 Gbit/s for 10 ms, 650 000 packets a second for 50 ms.
    fn default() -> Self {
        Self {
            packets: 1 << 15,
            bytes: 32 << 20,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Held {
    due: Duration,
    slot: usize,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    in_order: VecDeque<Held>,
    overtaking: VecDeque<Held>,
    slots: Vec<Vec<u8>>,
    free: Vec<usize>,
    /// The buffer that the caller of [`Queue::pop`] may still look at.
    lent: Option<usize>,
    bytes: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.in_order.len() + self.overtaking.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Holds a packet until `due`, or until those before it are gone if they go later. One that overtakes waits only for
    /// others that do.
    pub(super) fn push(&mut self, due: Duration, overtakes: bool, packet: &[u8]) {
        self.take_back();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Vec::new());
            self.slots.len() - 1
        });
        let buffer = &mut self.slots[slot];
        buffer.clear();
        buffer.extend_from_slice(packet);
        self.bytes += packet.len();
        let line = if overtakes {
            &mut self.overtaking
        } else {
            &mut self.in_order
        };
        let due = line.back().map_or(due, |last| due.max(last.due));
        line.push_back(Held { due, slot });
    }

    /// When the next packet is due; none while none is held.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let lines = [&self.in_order, &self.overtaking];
        let fronts = lines.into_iter().filter_map(VecDeque::front);
        fronts.map(|held| held.due).min()
    }

    /// Takes the next packet that is due by `now`, and when it was.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Duration, &[u8])> {
        self.take_back();
        let due = self.next_due().filter(|due| *due <= now)?;
        let first = |held: &Held| held.due == due;
        let line = if self.in_order.front().is_some_and(first) {
            &mut self.in_order
        } else {
            &mut self.overtaking
        };
        let held = line.pop_front()?;
        self.lent = Some(held.slot);
        let packet = self.slots[held.slot].as_slice();
        self.bytes -= packet.len();
        Some((held.due, packet))
    }

    fn take_back(&mut self) {
        self.free.extend(self.lent.take());
    }
}

#[cfg(test)]
impl Queue {
    /// How many buffers there are, and how many bytes they can hold.
    pub(super) fn buffers(&self) -> (usize, usize) {
        (self.slots.len(), self.slots.iter().map(Vec::capacity).sum())
    }
}
