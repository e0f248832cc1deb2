//! The two clusters of a lab.

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cluster {
    /// The cluster of renderer and client.
    A,
    /// The cluster of the streamer, unless everything is in one.
    B,
}
