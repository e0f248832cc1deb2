//! The WAN between two clusters: what each direction does to a packet.

use std::time::Duration;

/// A WAN. The default does nothing to a packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wan {
    /// The preset that it was made from, and may have been changed after; none for one that was written out.
    pub preset: Option<String>,
    /// From cluster A to cluster B.
    pub a_to_b: Direction,
    /// From cluster B to cluster A.
    pub b_to_a: Direction,
}

/// One direction of a WAN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Direction {
    /// Added to each packet.
    pub delay: Duration,
    /// How the delay varies.
    pub jitter: Option<Jitter>,
    /// Which packets are lost.
    pub loss: Option<Loss>,
    /// Share of packets that overtake those before them, in percent: they are not delayed.
    pub reorder_percent: f64,
    /// The link's rate in bits a second, IP headers included; none for no limit.
    pub rate_bps: Option<u64>,
    /// Bytes that may wait for the rate; what comes then is dropped.
    pub queue_bytes: u64,
}

/// How the delay varies around [`Direction::delay`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Evenly, by at most so much either way.
    Uniform(Duration),
    /// Normally, with this standard deviation.
    Normal(Duration),
    /// As Pareto's distribution, with this scale: rare long delays.
    Pareto(Duration),
}

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Each with this probability, in percent.
    Random {
        /// In percent.
        percent: f64,
    },
    /// Bursts, as Gilbert's model has them: so many percent of all packets, in bursts of so many on average.
    Bursts {
        /// In percent.
        percent: f64,
        /// Packets.
        mean_length: f64,
    },
}
