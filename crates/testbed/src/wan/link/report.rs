//! What the link counts, and the lines in which it says so.

use std::time::Duration;

use serde::{Serialize, Serializer};
use timeline::hist::LatencyHistogram;

/// What happened in one direction.
#[derive(Debug, Default, Serialize)]
pub(super) struct Interval {
    /// Packets taken from the near kernel.
    pub(super) received: u64,
    /// Packets handed to the far kernel.
    pub(super) packets: u64,
    /// Bytes of the packets, IP headers included.
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
    #[serde(rename = "late_us", serialize_with = "figures")]
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
}

/// Median, 99th percentile and maximum in microseconds; null where nothing was recorded.
fn figures<S: Serializer>(late: &LatencyHistogram, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Figures {
        p50: u64,
        p99: u64,
        max: u64,
    }
    let figures = late.figures().map(|late| Figures {
        p50: late.p50,
        p99: late.p99,
        max: late.max,
    });
    figures.serialize(to)
}

/// What the link says on its standard output.
#[derive(Serialize)]
#[serde(tag = "event")]
pub(super) enum Line<'a> {
    /// The link carries packets from now on.
    #[serde(rename = "ready")]
    Ready {
        program: &'static str,
        interface: &'a str,
        scheduling: &'static str,
    },
    /// What it carried in a second.
    #[serde(rename = "wan")]
    Second {
        a_to_b: &'a Interval,
        b_to_a: &'a Interval,
    },
    /// All that it carried.
    #[serde(rename = "wan-total")]
    Total {
        a_to_b: &'a Interval,
        b_to_a: &'a Interval,
    },
}

impl Line<'_> {
    /// The line, with its end.
    pub(super) fn text(&self) -> String {
        let line = serde_json::to_string(self).expect("numbers and words");
        line + "\n"
    }
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
        let line = Line::Total {
            a_to_b: &total,
            b_to_a: &second,
        }
        .text();
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
