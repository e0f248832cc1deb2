//! Datagrams that UDP of a network namespace lost, from counters that go on from the namespace's beginning.

use super::Window;

/// Datagrams that were not delivered or not sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagrams {
    /// Datagrams that no socket took, for whatever reason.
    pub in_errors: u64,
    /// Datagrams that found the receiving socket's buffer full.
    pub rcvbuf_errors: u64,
    /// Datagrams that found the sending socket's buffer full.
    pub sndbuf_errors: u64,
    /// Datagrams with a wrong checksum.
    pub csum_errors: u64,
}

/// The counters of a namespace at the end of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramReading {
    /// The second's end, microseconds since the Unix epoch.
    pub to_us: u64,
    /// The length of the interval by the monotonic clock, in microseconds.
    pub elapsed_us: u64,
    /// What was counted since the namespace's beginning.
    pub counted: Datagrams,
}

impl Datagrams {
    /// Adds those of another repetition.
    pub const fn add(&mut self, other: Self) {
        self.in_errors += other.in_errors;
        self.rcvbuf_errors += other.rcvbuf_errors;
        self.sndbuf_errors += other.sndbuf_errors;
        self.csum_errors += other.csum_errors;
    }

    const fn counts(self) -> [u64; 4] {
        [
            self.in_errors,
            self.rcvbuf_errors,
            self.sndbuf_errors,
            self.csum_errors,
        ]
    }

    /// What was lost in `window`, from readings in the order of time; none where no two of them tell. A second that lies in it in part
    /// counts by that part.
    pub fn lost(readings: &[DatagramReading], window: Window) -> Option<Self> {
        let mut lost = [0.0; 4];
        for pair in readings.windows(2) {
            let (before, now) = (pair[0], pair[1]);
            let of = Window::ending(now.to_us, now.elapsed_us);
            let part = of.overlap_s(window) / of.seconds().max(1e-6);
            let counts = before
                .counted
                .counts()
                .into_iter()
                .zip(now.counted.counts());
            for (sum, (before, now)) in lost.iter_mut().zip(counts) {
                *sum += now.saturating_sub(before) as f64 * part;
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count, which is far below 2^53"
        )]
        let [in_errors, rcvbuf_errors, sndbuf_errors, csum_errors] =
            lost.map(|count| count.round() as u64);
        (readings.len() > 1).then_some(Self {
            in_errors,
            rcvbuf_errors,
            sndbuf_errors,
            csum_errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    fn reading(second: u64, rcvbuf_errors: u64) -> DatagramReading {
        DatagramReading {
            to_us: second * S,
            elapsed_us: S,
            counted: Datagrams {
                in_errors: rcvbuf_errors,
                rcvbuf_errors,
                ..Datagrams::default()
            },
        }
    }

    #[test]
    fn only_what_was_lost_in_the_window_counts() {
        let readings = [(1, 5_000), (2, 5_100), (3, 5_140), (4, 5_140), (5, 9_000)]
            .map(|(second, count)| reading(second, count));
        let lost = |from_us, to_us| {
            let lost = Datagrams::lost(&readings, Window { from_us, to_us });
            lost.map(|lost| (lost.in_errors, lost.rcvbuf_errors, lost.sndbuf_errors))
        };
        assert_eq!(lost(S, 4 * S), Some((140, 140, 0)));
        assert_eq!(
            lost(3 * S / 2, 4 * S),
            Some((90, 90, 0)),
            "half of a second"
        );
        assert_eq!(lost(3 * S, 4 * S), Some((0, 0, 0)));
        let window = Window {
            from_us: 0,
            to_us: 9 * S,
        };
        assert_eq!(Datagrams::lost(&readings[..1], window), None);
        // The first reading is what was counted before.
        let all = Datagrams::lost(&readings, window).expect("readings");
        assert_eq!(all.rcvbuf_errors, 4_000);
    }
}
