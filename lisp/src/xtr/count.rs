//! What the data plane counts: each thread for itself, and all of them together at `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use strum::{EnumCount as _, IntoEnumIterator as _};

/// The direction of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Out of the device, into the tunnel.
    Out,
    /// Out of the tunnel, into the device.
    In,
}

/// A thing that is counted. Packets that are dropped come after [`Count::Told`], each reason for itself.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    strum::EnumCount,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Count {
    /// Packets that passed, each segment for itself.
    Packets,
    /// Bytes of the inner packets that passed.
    Bytes,
    /// Batches that packets passed in.
    Batches,
    /// Packets that were split because they did not fit.
    Split,
    /// Senders that were told that a packet did not fit.
    Told,
    /// Bytes that are no IP packet.
    Malformed,
    /// The source of an outgoing packet is none of our endpoints.
    ForeignSource,
    /// The destination of an incoming packet is none of our endpoints.
    ForeignDestination,
    /// No mapping holds the destination.
    NoMapping,
    /// No locator of the mapping can be used, or we have no address of its family.
    NoLocator,
    /// The packet's mapping has the action drop.
    Denied,
    /// A mapping says: not through a tunnel.
    Native,
    /// The packet's time to live was over.
    Expired,
    /// The packet did not fit.
    TooBig,
    /// The system did not take the packet.
    Refused,
    /// The LISP header was short, or asked for keys.
    Header,
    /// The packet was of another instance.
    Instance,
    /// Congestion was marked on a packet whose sender understands no mark.
    Congestion,
    /// The packet was longer than what we receive.
    CutOff,
}

impl Count {
    fn is_drop(self) -> bool {
        self > Self::Told
    }
}

/// The counts of one thread, for others to read.
#[derive(Debug)]
pub(crate) struct Published {
    way: Way,
    values: [AtomicU64; Count::COUNT],
}

/// The counters of one thread, without others in its way.
#[derive(Debug)]
pub(crate) struct Tally {
    values: [u64; Count::COUNT],
    published: Arc<Published>,
}

impl Tally {
    /// Counters of which none has counted yet.
    pub(crate) fn new(way: Way) -> Self {
        let values = std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            values: [0; Count::COUNT],
            published: Arc::new(Published { way, values }),
        }
    }

    /// The counts, for others to read.
    pub(crate) fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// Adds one to a count.
    pub(crate) fn one(&mut self, count: Count) {
        self.add(count, 1);
    }

    /// Adds a number to a count.
    pub(crate) fn add(&mut self, count: Count, number: usize) {
        self.values[count as usize] += number as u64;
    }

    /// Lets others see what was counted up to now.
    pub(crate) fn publish(&self) {
        for (value, published) in self.values.iter().zip(&self.published.values) {
            published.store(*value, Ordering::Relaxed);
        }
    }
}

/// Every thread's counts, summed for each way.
#[derive(Debug)]
pub(crate) struct Counts(pub(crate) Vec<Arc<Published>>);

impl Counts {
    /// The sum of all threads of one way.
    pub(crate) fn total(&self, way: Way, count: Count) -> u64 {
        let threads = self.0.iter().filter(|published| published.way == way);
        threads
            .map(|published| published.values[count as usize].load(Ordering::Relaxed))
            .sum()
    }
}

impl Collector for Counts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let ways = [(Way::Out, "out"), (Way::In, "in")];
        for (count, help) in [
            (Count::Packets, "Packets that passed the tunnel router"),
            (Count::Bytes, "Bytes of the inner packets that passed"),
            (Count::Batches, "Batches in which packets passed"),
            (
                Count::Split,
                "Packets that were split because they did not fit",
            ),
            (Count::Told, "Senders that were told the MTU"),
        ] {
            let name = format!("xr_lisp_data_{}", <&str>::from(count));
            let kind = prometheus_client::metrics::MetricType::Counter;
            let mut family = encoder.encode_descriptor(&name, help, None, kind)?;
            for (way, word) in ways {
                let labels = [("way", word)];
                let value = ConstCounter::new(self.total(way, count));
                value.encode(family.encode_family(&labels)?)?;
            }
        }
        let kind = prometheus_client::metrics::MetricType::Counter;
        let help = "Packets that the tunnel router dropped, and why";
        let mut family = encoder.encode_descriptor("xr_lisp_data_dropped", help, None, kind)?;
        for (way, word) in ways {
            for count in Count::iter().filter(|count| count.is_drop()) {
                let labels = [("way", word), ("reason", count.into())];
                let value = ConstCounter::new(self.total(way, count));
                value.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
