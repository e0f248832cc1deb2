//! Packets in the order of their numbers, where the way that they come by does not keep it: frames on streams of their own
//! overtake one another, and so may datagrams. Pure: time is an argument.
//!
//! A packet that is missing is waited for, but not for ever, and by nobody for whom a key frame has come meanwhile: a
//! decoder begins anew with that.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

/// The most packets that wait: those of the largest frame.
pub const HELD_MAX: usize = crate::feed::assembler::MAX_FRAME_PACKETS;

/// How far a number may lie behind the one that is expected. What seems to be further behind is ahead: a sender that counts
/// anew.
const BEHIND_MAX: u16 = 0x1000;

/// The number of packets in order that were counted before the first one, so that none is below zero.
const ORIGIN: u64 = 1 << 32;

/// Packets that wait for those before them.
#[derive(Debug)]
pub struct Reorder {
    patience: Duration,
    /// The number of the next packet, counted on beyond 16 bits.
    next: u64,
    /// A packet has been given out, or is the one to begin with.
    begun: bool,
    held: BTreeMap<u64, Bytes>,
    /// Up to here nothing is waited for.
    hurried: u64,
    /// Since when something is missing.
    since: Option<Instant>,
    late: u64,
}

impl Reorder {
    /// Nothing has come yet. A packet that is missing is waited for `patience` long.
    pub const fn new(patience: Duration) -> Self {
        Self {
            patience,
            next: ORIGIN,
            begun: false,
            held: BTreeMap::new(),
            hurried: 0,
            since: None,
            late: 0,
        }
    }

    /// Takes the packet of this number, which came at `now`; `is_key` says whether a decoder can begin with it.
    pub fn push(&mut self, number: u16, is_key: bool, packet: &Bytes, now: Instant) {
        if !self.begun && self.held.is_empty() {
            self.next = ORIGIN + u64::from(number);
        }
        let at = self.place(number);
        if self.begun && at < self.next {
            self.late += 1;
            return;
        }
        if is_key && !self.begun {
            self.begun = true;
            self.next = at;
            let rest = self.held.split_off(&at);
            self.late += std::mem::replace(&mut self.held, rest).len() as u64;
        } else if is_key {
            self.hurried = self.hurried.max(at);
        }
        // What waits is copied: what it lies in may be far larger.
        let packet = if self.begun && at == self.next {
            packet.clone()
        } else {
            Bytes::copy_from_slice(packet)
        };
        self.held.entry(at).or_insert(packet);
        if self.held.len() > HELD_MAX
            && let Some((first, _)) = self.held.first_key_value()
        {
            self.hurried = self.hurried.max(*first);
        }
        if self.is_missing() {
            self.since.get_or_insert(now);
        }
    }

    /// The next packet in order, if it is there or nothing before it is waited for.
    pub fn pop(&mut self, now: Instant) -> Option<Bytes> {
        let first = *self.held.first_key_value()?.0;
        if self.is_missing() && first > self.hurried && !self.is_over(now) {
            return None;
        }
        self.begun = true;
        self.next = first + 1;
        let packet = self.held.remove(&first);
        self.since = None;
        if self.is_missing() {
            self.since = Some(now);
        }
        packet
    }

    /// When [`Reorder::pop`] is to be called although no packet has come.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + self.patience)
    }

    /// Packets that came after they had been given up.
    pub const fn late(&self) -> u64 {
        self.late
    }

    fn is_missing(&self) -> bool {
        let first = self.held.first_key_value();
        first.is_some_and(|(first, _)| !self.begun || *first != self.next)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// The place of a number among all that come.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lower 16 bits are wanted"
    )]
    fn place(&self, number: u16) -> u64 {
        let ahead = number.wrapping_sub(self.next as u16);
        if ahead > u16::MAX - BEHIND_MAX {
            self.next - u64::from(u16::MAX - ahead) - 1
        } else {
            self.next + u64::from(ahead)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    /// Numbers of the packets that are given out.
    fn all(reorder: &mut Reorder, now: Instant) -> Vec<u16> {
        let packets = std::iter::from_fn(|| reorder.pop(now));
        packets
            .map(|packet| u16::from_be_bytes([packet[0], packet[1]]))
            .collect()
    }

    fn push(reorder: &mut Reorder, number: u16, is_key: bool, now: Instant) {
        let packet = Bytes::copy_from_slice(&number.to_be_bytes());
        reorder.push(number, is_key, &packet, now);
    }

    #[test]
    fn a_feed_begins_with_its_key_frame_also_where_another_was_faster() {
        let (mut reorder, now) = (Reorder::new(PATIENCE), Instant::now());
        push(&mut reorder, 3, false, now);
        assert!(all(&mut reorder, now).is_empty());
        push(&mut reorder, 65_535, true, now);
        push(&mut reorder, 1, false, now);
        assert_eq!(all(&mut reorder, now), [65_535]);
        push(&mut reorder, 0, false, now);
        assert_eq!(all(&mut reorder, now), [0, 1]);
        push(&mut reorder, 2, false, now);
        assert_eq!(all(&mut reorder, now), [2, 3]);
        assert_eq!((reorder.due(), reorder.late()), (None, 0));
    }

    #[test]
    fn what_is_missing_is_waited_for_and_then_is_late() {
        let (mut reorder, start) = (Reorder::new(PATIENCE), Instant::now());
        push(&mut reorder, 0, true, start);
        assert_eq!(all(&mut reorder, start), [0]);
        push(&mut reorder, 2, false, start);
        push(&mut reorder, 5, false, start);
        let later = start + PATIENCE / 2;
        assert!(all(&mut reorder, later).is_empty());
        let due = reorder.due().unwrap();
        assert_eq!(due, start + PATIENCE);
        assert_eq!(
            all(&mut reorder, due),
            [2],
            "5 has waited as long, and no other gap was known"
        );
        assert_eq!(all(&mut reorder, due + PATIENCE), [5]);
        push(&mut reorder, 1, false, due);
        push(&mut reorder, 5, false, due);
        assert!(all(&mut reorder, due + PATIENCE).is_empty());
        assert_eq!(reorder.late(), 2);
    }

    #[test]
    fn a_key_frame_waits_for_nothing() {
        let (mut reorder, now) = (Reorder::new(PATIENCE), Instant::now());
        push(&mut reorder, 0, true, now);
        push(&mut reorder, 2, false, now);
        push(&mut reorder, 9, true, now);
        assert_eq!(all(&mut reorder, now), [0, 2, 9]);
    }

    #[test]
    fn without_a_key_frame_it_begins_all_the_same() {
        let (mut reorder, now) = (Reorder::new(PATIENCE), Instant::now());
        push(&mut reorder, 8, false, now);
        push(&mut reorder, 7, false, now);
        assert!(all(&mut reorder, now).is_empty());
        assert_eq!(all(&mut reorder, now + PATIENCE), [7, 8]);
    }

    #[test]
    fn a_sender_that_counts_anew_is_followed() {
        let (mut reorder, now) = (Reorder::new(PATIENCE), Instant::now());
        push(&mut reorder, 50_000, true, now);
        push(&mut reorder, 10, true, now);
        assert_eq!(all(&mut reorder, now), [50_000, 10]);
    }

    proptest! {
        /// Whatever comes, and whenever: no packet comes out twice or behind a later one, none stays, and few wait.
        #[test]
        fn what_comes_out_is_in_order(
            steps in prop::collection::vec((0_u16..400, any::<bool>(), 0_u64..30), 1..300),
            first: u16,
        ) {
            let (mut reorder, mut now) = (Reorder::new(PATIENCE), Instant::now());
            let (mut out, mut given) = (Vec::new(), 0);
            for (ahead, is_key, wait_ms) in steps {
                now += Duration::from_millis(wait_ms);
                push(&mut reorder, first.wrapping_add(ahead), is_key, now);
                given += 1;
                out.extend(all(&mut reorder, now));
                prop_assert!(reorder.held.len() <= HELD_MAX);
            }
            // Each gap is waited for.
            for _ in 0..given {
                now += PATIENCE;
                out.extend(all(&mut reorder, now));
            }
            prop_assert!(reorder.held.is_empty());
            prop_assert_eq!(reorder.due(), None);
            let order: Vec<u16> = out.iter().map(|number| number.wrapping_sub(first)).collect();
            prop_assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
        }

        /// A feed of which nothing is lost comes out whole, however it was mixed within the patience.
        #[test]
        fn nothing_is_lost_that_comes_in_time(
            delays in prop::collection::vec(0_u64..90, 1..200),
            first: u16,
        ) {
            let (mut reorder, start) = (Reorder::new(PATIENCE), Instant::now());
            let mut coming: Vec<(u64, u16)> = delays
                .iter()
                .zip(0_u16..)
                .map(|(delay, number)| (u64::from(number) + delay, number))
                .collect();
            // The first is the key frame, and comes first.
            coming[0].0 = 0;
            coming.sort_unstable();
            let mut out = Vec::new();
            for (at, number) in coming {
                let now = start + Duration::from_millis(at);
                push(&mut reorder, first.wrapping_add(number), number == 0, now);
                out.extend(all(&mut reorder, now));
            }
            let expected = (0..delays.len()).map(|number| first.wrapping_add(u16::try_from(number).unwrap()));
            prop_assert!(out.iter().copied().eq(expected), "{out:?}");
            prop_assert_eq!(reorder.late(), 0);
        }
    }
}
