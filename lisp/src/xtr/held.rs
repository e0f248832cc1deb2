//! Packets without a mapping, which wait for it a short while: the first of a connection would otherwise come a second late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::data::packet::Packet;
use crate::data::table::Table;

/// Packets that wait at a time; more are dropped.
const MOST: usize = 64;

/// How long a packet waits: whoever sent it will have sent it again by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// The packets that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Held {
    packets: VecDeque<(Instant, Vec<u8>)>,
}

impl Held {
    /// Keeps a packet, unless too many wait. Returns how many packets were dropped: those that waited too long, and this one.
    pub(crate) fn push(&mut self, packet: &[u8], now: Instant) -> usize {
        let before = self.packets.len();
        let is_new = |since: &Instant| now.saturating_duration_since(*since) < PATIENCE;
        self.packets.retain(|(since, _)| is_new(since));
        let dropped = before - self.packets.len();
        if self.packets.len() >= MOST {
            return dropped + 1;
        }
        self.packets.push_back((now, packet.to_vec()));
        dropped
    }

    /// The packets that have a mapping now, in order, and how many waited too long.
    pub(crate) fn release(&mut self, table: &Table, now: Instant) -> (Vec<Vec<u8>>, usize) {
        let (mut released, mut dropped) = (Vec::new(), 0);
        for (since, packet) in std::mem::take(&mut self.packets) {
            let has_mapping = |packet: Packet| table.path(packet.destination).is_some();
            if now.saturating_duration_since(since) >= PATIENCE {
                dropped += 1;
            } else if Packet::parse(&packet).is_ok_and(has_mapping) {
                released.push(packet);
            } else {
                self.packets.push_back((since, packet));
            }
        }
        (released, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::Path;

    /// A packet of UDP without bytes, to 10.96.0.N.
    fn packet(last: u8) -> Vec<u8> {
        let mut bytes = vec![0; 28];
        bytes[..4].copy_from_slice(&[0x45, 0, 0, 28]);
        bytes[8..10].copy_from_slice(&[64, 17]);
        bytes[16..20].copy_from_slice(&[10, 96, 0, last]);
        bytes
    }

    #[test]
    fn packets_wait_for_their_mapping_and_not_for_ever() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut held = Held::default();
        for last in [1, 2, 1] {
            assert_eq!(held.push(&packet(last), at(0)), 0);
        }
        let table = Table::new([("10.96.0.1/32".parse().unwrap(), Path::Drop)]);
        let both = vec![packet(1), packet(1)];
        assert_eq!(held.release(&table, at(999)), (both, 0));
        assert_eq!(held.release(&table, at(1000)), (vec![], 1));
        for _ in 0..MOST {
            assert_eq!(held.push(&packet(3), at(2000)), 0);
        }
        assert_eq!(held.push(&packet(3), at(2500)), 1);
        assert_eq!(held.push(&packet(3), at(3000)), MOST);
    }
}
