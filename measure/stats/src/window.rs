//! A time interval.

/// A microsecond interval of the wall clock, its end not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Microseconds since the Unix epoch.
    pub from_us: u64,
    /// Microseconds since the Unix epoch.
    pub to_us: u64,
}

impl Window {
    /// Whether `at_us` is in it.
    pub const fn contains(self, at_us: u64) -> bool {
        self.from_us <= at_us && at_us < self.to_us
    }

    /// The interval of so many microseconds that ends at `to_us`.
    pub(crate) const fn ending(to_us: u64, length_us: u64) -> Self {
        Self {
            from_us: to_us.saturating_sub(length_us),
            to_us,
        }
    }

    /// How many seconds of it lie in `other`.
    pub(crate) fn overlap_s(self, other: Self) -> f64 {
        let both = Self {
            from_us: self.from_us.max(other.from_us),
            to_us: self.to_us.min(other.to_us),
        };
        both.seconds()
    }

    /// The length of the window in seconds.
    pub const fn seconds(self) -> f64 {
        self.to_us.saturating_sub(self.from_us) as f64 / 1e6
    }
}
