//! Any packets of a feed over QUIC, in whatever order, twice, late or never: each comes out at most once and none behind a later
//! one, each is given out, given up or waits no longer than it may, and what waits is held without the bytes around it.
#![no_main]

#[path = "../held.rs"]
mod held;

use std::time::{Duration, Instant};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use streamer::ingest::reorder::{HELD_MAX, Reorder};

const PATIENCE: Duration = Duration::from_millis(100);

/// The number of a feed's first packet, counted beyond 16 bits, but for those bits.
const ORIGIN: u64 = 1 << 32;

/// How far from the newest of its sender a packet may be. The streamer takes what is further behind for a sender that counts
/// anew.
const APART: i64 = 0x800;

/// How far ahead of the last packet that came out a sender may be. Beyond, 16 bits do not tell a packet's number.
const AHEAD: u64 = 0xe000;

/// The bytes that a packet comes in.
const AROUND_BYTES: usize = 2_048;

/// What a map has of each packet beside its bytes, at most.
const ENTRY_BYTES: usize = 160;

/// A line of packets, and what is known of it without asking.
struct Line {
    reorder: Reorder,
    now: Instant,
    /// The first packet that came.
    first: u64,
    /// The newest that came.
    newest: u64,
    /// The last that came out.
    last: Option<u64>,
    /// Those that wait, by the lower 16 bits of their numbers.
    waiting: Vec<bool>,
    count: usize,
    bytes: usize,
}

/// A packet is as long as its number says.
const fn length(number: u64) -> usize {
    8 + (number % 57) as usize
}

impl Line {
    fn waiting(&mut self, number: u64) -> &mut bool {
        &mut self.waiting[usize::from(number as u16)]
    }

    fn joins(&mut self, number: u64) {
        if !std::mem::replace(self.waiting(number), true) {
            self.count += 1;
            self.bytes += length(number);
        }
    }

    /// Whether it waited.
    fn leaves(&mut self, number: u64) -> bool {
        let waited = std::mem::replace(self.waiting(number), false);
        if waited {
            self.count -= 1;
            self.bytes -= length(number);
        }
        waited
    }

    fn push(&mut self, number: u64, is_key: bool) {
        let mut around = vec![0; AROUND_BYTES];
        around[..8].copy_from_slice(&number.to_be_bytes());
        let packet = Bytes::from(around).slice(..length(number));
        let late = self.reorder.late();
        self.reorder.push(number as u16, is_key, &packet, self.now);
        let late = self.reorder.late() - late;
        if self.last.is_some_and(|last| number <= last) {
            assert_eq!(late, 1);
            return;
        }
        self.joins(number);
        let mut given_up = 0;
        if is_key && self.last.is_none() {
            // A feed begins with it.
            let lowest = self.first.saturating_add_signed(-APART);
            given_up = (lowest..number).filter(|one| self.leaves(*one)).count();
        }
        assert_eq!(late, given_up as u64);
    }

    fn pop(&mut self) {
        while let Some(packet) = self.reorder.pop(self.now) {
            let number = packet[..8].try_into().expect("8 bytes");
            let number = u64::from_be_bytes(number);
            assert_eq!(packet.len(), length(number));
            assert!(self.last.is_none_or(|last| last < number), "out of order");
            assert!(self.leaves(number), "it had come out");
            self.last = Some(number);
        }
        assert!(self.count <= HELD_MAX);
        let due = self.reorder.due();
        assert_eq!(due.is_some(), self.count > 0);
        assert!(due.is_none_or(|due| self.now < due && due <= self.now + PATIENCE));
    }

    /// Whether 16 bits tell a packet's number.
    fn tells(&self, number: u64) -> bool {
        number <= self.last.unwrap_or(self.first) + AHEAD
    }
}

/// The first number; then, how far from the newest a packet is, whether it begins a key frame, after how many milliseconds it
/// comes, and how many follow it in order.
type Input = (u16, Vec<(i16, bool, u8, u8)>);

fuzz_target!(|input: Input| {
    let (first, steps) = input;
    let first = ORIGIN + u64::from(first);
    let waiting = vec![false; 1 << 16];
    let before = held::bytes();
    let mut line = Line {
        reorder: Reorder::new(PATIENCE),
        now: Instant::now(),
        first,
        newest: first,
        last: None,
        waiting,
        count: 0,
        bytes: 0,
    };
    for (index, (apart, is_key, wait_ms, followers)) in steps.into_iter().enumerate() {
        line.now += Duration::from_millis(wait_ms.into());
        let apart = if index == 0 { 0 } else { i64::from(apart) };
        let mut number = line
            .newest
            .saturating_add_signed(apart.clamp(-APART, APART));
        for follower in 0..=followers {
            if !line.tells(number) {
                return;
            }
            line.push(number, is_key && follower == 0);
            line.pop();
            line.newest = line.newest.max(number);
            number += 1;
            let held = held::bytes().saturating_sub(before);
            let bound = 2 * line.bytes + ENTRY_BYTES * line.count + AROUND_BYTES;
            assert!(
                held <= bound,
                "{held} bytes are held for {} of packets",
                line.bytes
            );
        }
    }
    // Each gap is waited for.
    for _ in 0..line.count {
        line.now += PATIENCE;
        line.pop();
    }
    assert_eq!(line.count, 0);
});
