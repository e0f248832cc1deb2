//! Any packets on any WAN that can be: each comes out as it went in, once, or is said to be dropped; in order, unless it may
//! overtake; not before its time; and no more are held than there is room for.
#![no_main]

use std::collections::VecDeque;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use testbed::wan::link::{Limits, Link, Pushed};
use testbed::wan::{Direction, Jitter, Loss};

const LIMITS: Limits = Limits {
    packets: 16,
    bytes: 4_096,
};

/// A direction's delay in nanoseconds; how it varies, and by how many; the loss and the length of bursts, in hundredths; the
/// share that overtakes, likewise; rate and queue.
type Shape = (
    u32,
    Option<(u8, u32)>,
    Option<(u16, Option<u16>)>,
    u16,
    Option<(u32, u32)>,
);

fn direction((delay, jitter, loss, reorder, rate): Shape) -> Direction {
    let nanos = |nanos: u32| Duration::from_nanos(nanos.into());
    let hundredths = |share: u16| f64::from(share) / 100.0;
    Direction {
        delay: nanos(delay),
        jitter: jitter.map(|(kind, by)| match kind % 3 {
            0 => Jitter::Uniform(nanos(by)),
            1 => Jitter::Normal(nanos(by)),
            _ => Jitter::Pareto(nanos(by)),
        }),
        loss: loss.map(|(percent, length)| match (hundredths(percent), length) {
            (percent, None) => Loss::Random { percent },
            (percent, Some(length)) => Loss::Bursts {
                percent,
                mean_length: hundredths(length),
            },
        }),
        reorder_percent: hundredths(reorder),
        rate_bps: rate.map(|(bps, _)| bps.into()),
        queue_bytes: rate.map_or(0, |(_, bytes)| bytes.into()),
    }
}

/// Packets on their way.
struct Way<'a> {
    link: Link,
    in_order: bool,
    packets: VecDeque<&'a [u8]>,
    last_due: Duration,
}

impl Way<'_> {
    fn take(&mut self, now: Duration) {
        while let Some((due, packet)) = self.link.pop(now) {
            assert!(self.last_due <= due && due <= now);
            self.last_due = due;
            let at = self.packets.iter().position(|one| *one == packet);
            let at = at.expect("it went in and had not come out");
            assert!(at == 0 || !self.in_order);
            self.packets.remove(at);
        }
        assert_eq!(self.link.held(), self.packets.len());
        assert!(self.link.next_due().is_none_or(|due| now < due));
    }
}

/// The WAN, a seed, and after how many microseconds, whether in an outage, which packet comes.
type Input = (Shape, u64, Vec<(u32, bool, Vec<u8>)>);

fuzz_target!(|input: Input| {
    let (shape, seed, traffic) = &input;
    let direction = direction(*shape);
    if direction.check().is_err() {
        return;
    }
    let mut way = Way {
        link: Link::new(direction, LIMITS, *seed),
        in_order: direction.reorder_percent == 0.0,
        packets: VecDeque::new(),
        last_due: Duration::ZERO,
    };
    let mut now = Duration::ZERO;
    for (gap_us, outage, packet) in traffic {
        now += Duration::from_micros((*gap_us).into());
        way.take(now);
        way.link.set_outage(*outage);
        let pushed = way.link.push(now, packet);
        assert_eq!(pushed == Pushed::Outage, *outage);
        match pushed {
            Pushed::Held => way.packets.push_back(packet),
            Pushed::Lost => assert!(direction.loss.is_some()),
            Pushed::QueueFull | Pushed::Outage => {}
        }
        let bytes: usize = way.packets.iter().map(|packet| packet.len()).sum();
        assert!(way.packets.len() <= LIMITS.packets && bytes <= LIMITS.bytes);
    }
    while let Some(due) = way.link.next_due() {
        way.take(due);
    }
    assert!(way.packets.is_empty());
});
