//! The WAN by the kernel's `netem`: lines for `tc -batch`, where the kernel has it.
//!
//! netem delays and loses at the root; a rate is a token bucket below it, because that one bounds its queue in bytes, as
//! [`Direction::queue_bytes`] asks, where netem counts packets. Each direction is set on the interface that sends it.
//!
//! netem delays whatever the stack hands it as one packet: with segmentation offload, that is up to 64 kB of TCP, lost as
//! a whole. Whoever wants packets as they would be on a wire switches that off where they are made.

use std::fmt::Write as _;
use std::time::Duration;

use super::model::{Direction, Jitter, Loss, burst_chances};

/// Bytes of Ethernet header that the kernel counts to a packet on a pair of virtual Ethernet devices: a rate and a queue
/// hold so many fewer bytes of IP.
const ETHERNET_BYTES: u64 = 14;

/// Packets a second that fit into the delay where no rate bounds them.
const PACKETS_PER_S: u64 = 200_000;

/// The smallest packets that are counted on, in bits, where a rate bounds them.
const SMALL_PACKET_BITS: u64 = 64 * 8;

/// The lines for `tc -batch` that make `interface` do to what it sends what `direction` says; none if that is nothing.
///
/// `mtu` is the interface's, in bytes. [`tables`] says which file of iproute2 they need beside the kernel's netem.
pub fn lines(interface: &str, mtu: u16, direction: &Direction) -> Vec<String> {
    let mut lines = Vec::new();
    let root = netem(direction);
    if let Some(netem) = &root {
        lines.push(format!(
            "qdisc add dev {interface} root handle 1: netem {netem}"
        ));
    }
    if let Some(rate_bps) = direction.rate_bps {
        let parent = if root.is_some() { "parent 1:1" } else { "root" };
        // Two packets, or what flows in the time that a timer may be late.
        let burst = (2 * (u64::from(mtu) + ETHERNET_BYTES)).max(rate_bps / 8 / 4_000);
        let queue = direction.queue_bytes;
        lines.push(format!(
            "qdisc add dev {interface} {parent} handle 10: tbf rate {rate_bps}bit burst {burst} limit {queue}"
        ));
    }
    lines
}

/// The table of iproute2 that [`lines`] refers to: `normal` for `tc/normal.dist` in the folder that tc was built with.
pub fn tables(direction: &Direction) -> Option<&'static str> {
    match direction.jitter? {
        Jitter::Uniform(_) => None,
        Jitter::Normal(_) => Some("normal"),
        Jitter::Pareto(_) => Some("pareto"),
    }
}

/// Arguments of netem; none where netem has nothing to do.
fn netem(direction: &Direction) -> Option<String> {
    let Direction {
        delay,
        jitter,
        loss,
        reorder_percent,
        ..
    } = *direction;
    if delay.is_zero() && jitter.is_none() && loss.is_none() {
        // Reordering is to go without the delay: where there is none, it does nothing.
        return None;
    }
    let mut text = format!("limit {}", limit(direction));
    let mut add = |more: std::fmt::Arguments<'_>| {
        text.write_fmt(more).expect("a String takes everything");
    };
    if !delay.is_zero() || jitter.is_some() {
        add(format_args!(" delay {}", time(delay)));
    }
    if let Some(jitter) = jitter {
        add(format_args!(" {}", time(jitter.width())));
    }
    if let Some(table) = tables(direction) {
        add(format_args!(" distribution {table}"));
    }
    match loss {
        None => {}
        Some(Loss::Random { percent }) => add(format_args!(" loss random {percent}%")),
        Some(Loss::Bursts {
            percent,
            mean_length,
        }) => {
            let (begin, end) = burst_chances(percent, mean_length);
            add(format_args!(
                " loss gemodel {}% {}%",
                begin * 1e2,
                end * 1e2
            ));
        }
    }
    if reorder_percent > 0.0 && !delay.is_zero() {
        add(format_args!(" reorder {reorder_percent}%"));
    }
    if jitter.is_some() {
        // Without a rate, netem sends in the order of the jittered instants; with one, in the order of arrival.
        add(format_args!(" rate 100gbit"));
    }
    Some(text)
}

/// As every tc reads it: some refuse nanoseconds, and all take fractions of microseconds.
fn time(duration: Duration) -> String {
    format!("{}us", duration.as_nanos() as f64 / 1e3)
}

/// How many packets netem may hold: netem drops what comes above.
fn limit(direction: &Direction) -> u128 {
    let by_rate = direction.rate_bps.unwrap_or(0) / SMALL_PACKET_BITS;
    let longest = direction.delay + 4 * direction.jitter.map_or(Duration::ZERO, Jitter::width);
    let flying = u128::from(by_rate.max(PACKETS_PER_S)) * longest.as_micros() / 1_000_000;
    1_000 + flying
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wan::Wan;

    #[test]
    fn nothing_needs_no_line() {
        assert_eq!(
            lines("wan0", 1500, &Direction::default()),
            Vec::<String>::new()
        );
        assert_eq!(tables(&Direction::default()), None);
    }

    #[test]
    fn a_preset_keeps_the_order_of_packets() {
        let wan = Wan::preset("frankfurt-geneva").expect("a preset");
        assert_eq!(
            lines("wan0", 1500, &wan.a_to_b),
            [
                "qdisc add dev wan0 root handle 1: netem limit 2290 delay 6250us 50us distribution normal rate 100gbit"
            ]
        );
        assert_eq!(tables(&wan.a_to_b), Some("normal"));
    }

    #[test]
    fn everything_at_once() {
        let direction = Direction {
            delay: Duration::from_millis(10),
            jitter: Some(Jitter::Uniform(Duration::from_millis(1))),
            loss: Some(Loss::Bursts {
                percent: 20.0,
                mean_length: 4.0,
            }),
            reorder_percent: 0.5,
            rate_bps: Some(50_000_000),
            queue_bytes: 65_536,
        };
        assert_eq!(
            lines("wan0", 1500, &direction),
            [
                "qdisc add dev wan0 root handle 1: netem limit 3800 delay 10000us 1000us loss gemodel 6.25% 25% reorder 0.5% \
                 rate 100gbit",
                "qdisc add dev wan0 parent 1:1 handle 10: tbf rate 50000000bit burst 3028 limit 65536",
            ]
        );
    }

    #[test]
    fn a_rate_alone_is_a_token_bucket() {
        let direction = Direction {
            rate_bps: Some(1_000_000_000),
            queue_bytes: 1_000_000,
            ..Direction::default()
        };
        assert_eq!(
            lines("wan0", 1500, &direction),
            ["qdisc add dev wan0 root handle 10: tbf rate 1000000000bit burst 31250 limit 1000000"]
        );
        let lossy = Direction {
            loss: Some(Loss::Random { percent: 1.0 }),
            ..Direction::default()
        };
        assert_eq!(
            lines("wan0", 1500, &lossy),
            ["qdisc add dev wan0 root handle 1: netem limit 1000 loss random 1%"]
        );
    }
}
