//! What the link counts, and the lines in which it says so.

use std::fmt::Write as _;
use std::time::Duration;

use timeline::hist::LatencyHistogram;

/// What happened in one direction.
#[derive(Debug, Default)]
pub(super) struct Interval {
    /// Packets taken from the near kernel.
    pub(super) received: u64,
    /// Packets handed to the far kernel.
    pub(super) packets: u64,
    /// Their bytes, IP headers included.
    pub(super) bytes: u64,
    /// Packets lost by chance.
    pub(super) lost: u64,
    /// Packets dropped because a queue of the link was full.
    pub(super) queue_dropped: u64,
    /// Packets lost to an outage.
    pub(super) outage_dropped: u64,
    /// Packets that the far kernel did not take.
    pub(super) refused: u64,
    /// Packets that the near kernel dropped because the link read too late: they were never received.
    pub(super) kernel_dropped: u64,
    /// How long after its instant the far kernel had a packet.
    pub(super) late: LatencyHistogram,
}

impl Interval {
    /// A packet was handed over `late` after it was due.
    pub(super) fn delivered(&mut self, bytes: usize, late: Duration) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.late
            .record(i64::try_from(late.as_micros()).unwrap_or(i64::MAX));
    }

    /// Adds another's counts to this one's, and forgets them there.
    pub(super) fn take(&mut self, other: &mut Self) {
        let pairs = [
            (&mut self.received, &mut other.received),
            (&mut self.packets, &mut other.packets),
            (&mut self.bytes, &mut other.bytes),
            (&mut self.lost, &mut other.lost),
            (&mut self.queue_dropped, &mut other.queue_dropped),
            (&mut self.outage_dropped, &mut other.outage_dropped),
            (&mut self.refused, &mut other.refused),
            (&mut self.kernel_dropped, &mut other.kernel_dropped),
        ];
        for (sum, part) in pairs {
            *sum += std::mem::take(part);
        }
        // Full after 2^53 packets: what more could be said of lateness then?
        let _ = self.late.merge(&other.late);
        other.late.clear();
    }

    fn write(&self, text: &mut String) {
        let Self {
            received,
            packets,
            bytes,
            lost,
            queue_dropped,
            outage_dropped,
            refused,
            kernel_dropped,
            late,
        } = self;
        let late = late.figures().map_or_else(
            || "null".to_owned(),
            |late| {
                format!(
                    r#"{{"p50":{},"p99":{},"max":{}}}"#,
                    late.p50, late.p99, late.max
                )
            },
        );
        write!(
            text,
            r#"{{"packets":{packets},"bytes":{bytes},"lost":{lost},"queue_dropped":{queue_dropped},"outage_dropped":{outage_dropped},"refused":{refused},"kernel_dropped":{kernel_dropped},"received":{received},"late_us":{late}}}"#
        )
        .expect("a String takes everything");
    }
}

/// A line of JSON, `wan` for a second or `wan-total` for all of them, with `a_to_b` and `b_to_a` in it.
pub(super) fn line(event: &str, directions: &[Interval; 2]) -> String {
    let mut text = format!(r#"{{"event":"{event}","a_to_b":"#);
    directions[0].write(&mut text);
    text.push_str(r#","b_to_a":"#);
    directions[1].write(&mut text);
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_json_and_sums_are_sums() {
        let mut second = Interval {
            received: 4,
            lost: 1,
            queue_dropped: 1,
            kernel_dropped: 9,
            ..Interval::default()
        };
        second.delivered(100, Duration::from_micros(20));
        second.delivered(50, Duration::from_micros(40));
        let mut total = Interval::default();
        total.take(&mut second);
        assert_eq!((second.packets, second.late.count()), (0, 0));
        let line = line("wan-total", &[total, second]);
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(json["event"], "wan-total");
        let there = &json["a_to_b"];
        assert_eq!(
            [
                &there["received"],
                &there["packets"],
                &there["bytes"],
                &there["kernel_dropped"]
            ],
            [4, 2, 150, 9]
        );
        assert_eq!(
            there["late_us"],
            serde_json::json!({"p50": 20, "p99": 40, "max": 40})
        );
        assert!(json["b_to_a"]["late_us"].is_null());
    }
}
