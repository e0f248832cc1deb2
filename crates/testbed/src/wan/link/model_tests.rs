//! Tests of the link's model: whatever comes in and whenever, what must hold holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::wan::{Jitter, Loss};

const fn micros(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// A packet's number in its first bytes, padded to a length.
fn packet(number: u32, length: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length.max(4), 0xa5);
    bytes
}

fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[..4].try_into().expect("four bytes"))
}

/// What went in and what came of it.
#[derive(Debug, Default)]
struct Run {
    pushed: BTreeMap<u32, (Duration, usize, Pushed)>,
    /// Number, when it was due, how long it was; in the order of coming out.
    popped: Vec<(u32, Duration, usize)>,
    most_held: usize,
}

impl Run {
    fn count(&self, what: Pushed) -> usize {
        self.pushed
            .values()
            .filter(|(.., pushed)| *pushed == what)
            .count()
    }

    fn pop(&mut self, link: &mut Link, now: Duration) {
        while let Some((due, packet)) = link.pop(now) {
            assert!(due <= now, "{due:?} is after {now:?}");
            self.popped.push((number(packet), due, packet.len()));
        }
    }
}

/// Sends packets of these gaps and lengths, taking each out at the instant at which it is due.
fn run(direction: Direction, limits: Limits, seed: u64, traffic: &[(u64, usize)]) -> Run {
    let mut link = Link::new(direction, limits, seed);
    let mut run = Run::default();
    let mut now = Duration::ZERO;
    for (index, (gap_us, length)) in traffic.iter().enumerate() {
        let next = now + micros(*gap_us);
        while let Some(due) = link.next_due().filter(|due| *due <= next) {
            run.pop(&mut link, due);
        }
        now = next;
        let index = u32::try_from(index).expect("few packets");
        let bytes = packet(index, *length);
        let pushed = link.push(now, &bytes);
        run.pushed.insert(index, (now, bytes.len(), pushed));
        run.most_held = run.most_held.max(link.held());
    }
    while let Some(due) = link.next_due() {
        run.pop(&mut link, due);
    }
    assert_eq!(link.held(), 0);
    run
}

fn traffic() -> impl Strategy<Value = Vec<(u64, usize)>> {
    proptest::collection::vec((0_u64..2_000, 4_usize..1_500), 1..300)
}

prop_compose! {
    fn directions()(
        delay in (0_u64..20_000).prop_map(micros),
        jitter in proptest::option::of((0..3, 0_u64..5_000)),
        loss in proptest::option::of((0.0..30.0, proptest::option::of(1.0..10.0))),
        rate_bps in proptest::option::of(100_000_u64..1_000_000_000),
        queue_bytes in 3_000_u64..100_000,
    ) -> Direction {
        Direction {
            delay,
            jitter: jitter.map(|(kind, by)| match kind {
                0 => Jitter::Uniform(micros(by)),
                1 => Jitter::Normal(micros(by)),
                _ => Jitter::Pareto(micros(by)),
            }),
            loss: loss.map(|(percent, mean_length)| match mean_length {
                None => Loss::Random { percent },
                Some(mean_length) => Loss::Bursts { percent, mean_length },
            }),
            reorder_percent: 0.0,
            rate_bps,
            queue_bytes,
        }
    }
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_or_is_counted(
        mut direction in directions(), reorder in 0.0..100.0, seed: u64, traffic in traffic(),
    ) {
        direction.reorder_percent = reorder;
        let limits = Limits { packets: 40, bytes: 20_000 };
        let run = run(direction, limits, seed, &traffic);
        let dropped = run.count(Pushed::Lost) + run.count(Pushed::QueueFull);
        prop_assert_eq!(run.popped.len() + dropped, traffic.len());
        let mut numbers: Vec<u32> = run.popped.iter().map(|(number, ..)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), run.popped.len(), "each once");
        for (number, _, length) in &run.popped {
            let (_, pushed_length, pushed) = run.pushed[number];
            prop_assert_eq!((pushed_length, pushed), (*length, Pushed::Held));
        }
        prop_assert!(run.most_held <= limits.packets);
    }

    #[test]
    fn jitter_keeps_the_order(direction in directions(), seed: u64, traffic in traffic()) {
        let run = run(direction, Limits::default(), seed, &traffic);
        prop_assert!(run.popped.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1));
    }

    #[test]
    fn no_delay_is_shorter_than_was_asked(mut direction in directions(), seed: u64, traffic in traffic()) {
        direction.jitter = None;
        let run = run(direction, Limits::default(), seed, &traffic);
        for (number, due, _) in &run.popped {
            let (pushed_at, length, _) = run.pushed[number];
            let least = direction.delay + direction.rate_bps.map_or(Duration::ZERO, |rate| time_of(length, rate));
            prop_assert!(*due >= pushed_at + least);
            if direction.rate_bps.is_none() {
                prop_assert_eq!(*due, pushed_at + direction.delay, "and none is longer");
            }
        }
    }

    #[test]
    fn the_rate_is_never_exceeded_and_never_idle(
        rate_bps in 100_000_u64..1_000_000_000, queue_bytes in 3_000_u64..100_000, seed: u64, traffic in traffic(),
    ) {
        let direction = Direction { rate_bps: Some(rate_bps), queue_bytes, ..Direction::default() };
        let run = run(direction, Limits::default(), seed, &traffic);
        let mut free = Duration::ZERO;
        for (number, due, length) in &run.popped {
            let (pushed_at, ..) = run.pushed[number];
            prop_assert_eq!(*due, free.max(pushed_at) + time_of(*length, rate_bps));
            free = *due;
            // No more than the queue holds was before it.
            prop_assert!(bytes_in(due.saturating_sub(pushed_at), rate_bps) <= u128::from(queue_bytes) + 1);
        }
        // What was dropped would not have fitted.
        for (pushed_at, length, pushed) in run.pushed.values() {
            if *pushed == Pushed::QueueFull {
                let waiting: usize = run
                    .popped
                    .iter()
                    .filter(|(number, due, _)| run.pushed[number].0 <= *pushed_at && due > pushed_at)
                    .map(|(.., length)| length)
                    .sum();
                prop_assert!((waiting + length) as u64 + 1 > queue_bytes, "{waiting} + {length}");
            }
        }
    }

    #[test]
    fn nothing_is_allocated_once_it_runs(seed: u64) {
        let direction = Direction { delay: micros(1_000), ..Direction::default() };
        let mut link = Link::new(direction, Limits::default(), seed);
        let mut now = Duration::ZERO;
        let mut after_warm_up = None;
        for number in 0..2_000 {
            now += micros(100);
            while link.pop(now).is_some() {}
            link.push(now, &packet(number, 1_200));
            let buffers = link.queue.buffers();
            if number > 100 {
                prop_assert_eq!(*after_warm_up.get_or_insert(buffers), buffers);
            }
        }
    }
}

#[test]
fn the_share_that_is_lost_is_right() {
    for loss in [
        Loss::Random { percent: 5.0 },
        Loss::Bursts {
            percent: 5.0,
            mean_length: 3.0,
        },
    ] {
        let direction = Direction {
            loss: Some(loss),
            ..Direction::default()
        };
        let run = run(direction, Limits::default(), 1, &vec![(100, 64); 50_000]);
        let lost = run.count(Pushed::Lost);
        assert!((2_250..2_750).contains(&lost), "{loss:?}: {lost}");
    }
}

#[test]
fn the_share_that_overtakes_is_right_and_is_not_delayed() {
    let direction = Direction {
        delay: micros(5_000),
        reorder_percent: 10.0,
        ..Direction::default()
    };
    let run = run(direction, Limits::default(), 1, &vec![(100, 64); 20_000]);
    let early = run
        .popped
        .iter()
        .filter(|(number, due, _)| *due == run.pushed[number].0)
        .count();
    assert!((1_800..2_200).contains(&early), "{early}");
    assert!(!run.popped.is_sorted_by_key(|(number, ..)| *number));
}

#[test]
fn an_outage_loses_what_comes_in_and_not_what_is_under_way() {
    let direction = Direction {
        delay: micros(5_000),
        ..Direction::default()
    };
    let mut link = Link::new(direction, Limits::default(), 1);
    assert_eq!(link.push(micros(0), &packet(0, 64)), Pushed::Held);
    link.set_outage(true);
    assert_eq!(link.push(micros(1), &packet(1, 64)), Pushed::Outage);
    link.set_outage(false);
    assert_eq!(link.push(micros(2), &packet(2, 64)), Pushed::Held);
    let mut out = Vec::new();
    while let Some((due, bytes)) = link.pop(micros(10_000)) {
        out.push((number(bytes), due));
    }
    assert_eq!(out, [(0, micros(5_000)), (2, micros(5_002))]);
}

#[test]
fn nothing_comes_out_early() {
    let direction = Direction {
        delay: micros(5_000),
        ..Direction::default()
    };
    let mut link = Link::new(direction, Limits::default(), 1);
    link.push(micros(10), &packet(0, 64));
    assert_eq!(link.next_due(), Some(micros(5_010)));
    assert_eq!(link.pop(micros(5_009)), None);
    assert!(link.pop(micros(5_010)).is_some());
    assert_eq!(link.next_due(), None);
}
