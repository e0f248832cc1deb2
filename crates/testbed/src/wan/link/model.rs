//! One direction of the link without clock and socket: packets go in with an instant and come out when they are due.
//!
//! A packet is lost or not; then it waits for the rate behind those that came before; then it travels for the delay. Jitter
//! does not reorder: a packet waits for the one before it. netem does reorder by jitter unless it has a rate, but packets of
//! one flow overtake one another rarely on a real path, and then because of the path, not of the jitter: who wants it asks
//! for [`Direction::reorder_percent`]. A packet that overtakes waits for the rate and skips the delay.

use std::time::Duration;

use super::chance::Chance;
use super::queue::{Limits, Queue};
use crate::wan::Direction;

/// What became of a packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The packet will come out.
    Held,
    /// The packet is lost by chance.
    Lost,
    /// The packet is dropped: too much waits for the rate already, or more than [`Limits`] is held.
    QueueFull,
    /// The packet is lost in an outage.
    Outage,
}

/// One direction of a WAN, as a model without a clock. All instants count from the same origin, whichever that is, and never
/// go back.
#[derive(Debug)]
pub struct Link {
    direction: Direction,
    limits: Limits,
    chance: Chance,
    queue: Queue,
    /// When the rate has sent all that was let in.
    sent_at: Duration,
    outage: bool,
}

impl Link {
    /// A link that does what `direction` says, if [`Direction::check`] finds it possible.
    pub fn new(direction: Direction, limits: Limits, seed: u64) -> Self {
        Self {
            direction,
            limits,
            chance: Chance::new(seed),
            queue: Queue::default(),
            sent_at: Duration::ZERO,
            outage: false,
        }
    }

    /// Takes a packet in.
    pub fn push(&mut self, now: Duration, packet: &[u8]) -> Pushed {
        if self.outage {
            return Pushed::Outage;
        }
        if self.chance.loses(self.direction.loss) {
            return Pushed::Lost;
        }
        if self.queue.len() >= self.limits.packets
            || self.queue.bytes() + packet.len() > self.limits.bytes
        {
            return Pushed::QueueFull;
        }
        let mut leaves = now;
        if let Some(rate_bps) = self.direction.rate_bps {
            let waits = bytes_in(self.sent_at.saturating_sub(now), rate_bps);
            if waits + packet.len() as u128 > u128::from(self.direction.queue_bytes) {
                return Pushed::QueueFull;
            }
            leaves = self.sent_at.max(now) + time_of(packet.len(), rate_bps);
            self.sent_at = leaves;
        }
        let overtakes = self.chance.overtakes(self.direction.reorder_percent);
        let due = if overtakes {
            leaves
        } else {
            leaves + self.chance.delay(&self.direction)
        };
        self.queue.push(due, overtakes, packet);
        Pushed::Held
    }

    /// When the next packet is due; none while none is held.
    pub fn next_due(&self) -> Option<Duration> {
        self.queue.next_due()
    }

    /// Takes the next packet that is due by `now`, and when it was due.
    pub fn pop(&mut self, now: Duration) -> Option<(Duration, &[u8])> {
        self.queue.pop(now)
    }

    /// Begins or ends an outage: what comes in during one is lost, and what is under way still arrives.
    pub fn set_outage(&mut self, outage: bool) {
        self.outage = outage;
    }

    /// The number of packets under way.
    pub fn held(&self) -> usize {
        self.queue.len()
    }
}

const BIT_NANOS: u128 = 8 * 1_000_000_000;

/// How long a rate takes to send so many bytes, rounded up: it is never exceeded.
fn time_of(bytes: usize, rate_bps: u64) -> Duration {
    let nanos = (bytes as u128 * BIT_NANOS).div_ceil(rate_bps.into());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How many bytes a rate sends in that time, rounded up.
fn bytes_in(time: Duration, rate_bps: u64) -> u128 {
    (time.as_nanos() * u128::from(rate_bps)).div_ceil(BIT_NANOS)
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
