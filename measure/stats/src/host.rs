//! Which seconds were disturbed.

use super::Window;

/// The disturbed seconds of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disturbances {
    spans: Vec<Window>,
}

impl Disturbances {
    /// `spans` in any order; those that overlap count once. One that ends before it begins is of a clock that was set back in it, and
    /// holds every time between the two.
    pub fn new(mut spans: Vec<Window>) -> Self {
        for span in &mut spans {
            let (one, other) = (span.from_us, span.to_us);
            (span.from_us, span.to_us) = (one.min(other), one.max(other));
        }
        spans.retain(|span| span.from_us < span.to_us);
        spans.sort_by_key(|span| span.from_us);
        let mut disjoint: Vec<Window> = Vec::new();
        for span in spans {
            match disjoint.last_mut() {
                Some(last) if span.from_us <= last.to_us => {
                    last.to_us = last.to_us.max(span.to_us);
                }
                _ => disjoint.push(span),
            }
        }
        Self { spans: disjoint }
    }

    /// Whether the machine was disturbed at `at_us`.
    pub fn contains(&self, at_us: u64) -> bool {
        let after = self.spans.partition_point(|span| span.from_us <= at_us);
        after
            .checked_sub(1)
            .is_some_and(|place| self.spans[place].contains(at_us))
    }

    /// Whether the machine was disturbed at any moment between two, both of them included: on a frame's whole way, for one. Clocks
    /// that disagree may have turned the two around.
    pub fn meets(&self, one_us: u64, other_us: u64) -> bool {
        let (from_us, to_us) = (one_us.min(other_us), one_us.max(other_us));
        let before = self.spans.partition_point(|span| span.to_us <= from_us);
        let next = self.spans.get(before);
        next.is_some_and(|span| span.from_us <= to_us)
    }

    /// How many seconds of `window` were disturbed.
    pub fn seconds_in(&self, window: Window) -> f64 {
        self.spans
            .iter()
            .map(|span| {
                let (from, to) = (
                    span.from_us.max(window.from_us),
                    span.to_us.min(window.to_us),
                );
                to.saturating_sub(from) as f64 / 1e6
            })
            .sum()
    }

    /// The disturbed spans of time, disjoint and ascending.
    pub fn spans(&self) -> &[Window] {
        &self.spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_in_which_the_clock_was_set_back_is_disturbed() {
        let back = Window {
            from_us: 2_000_000,
            to_us: 1_500_000,
        };
        let disturbances = Disturbances::new(vec![back]);
        assert!(disturbances.contains(1_700_000) && !disturbances.contains(1_400_000));
    }

    #[test]
    fn a_way_is_disturbed_by_any_moment_of_it() {
        let second = |from_us| Window {
            from_us,
            to_us: from_us + 1_000_000,
        };
        let disturbances = Disturbances::new(vec![second(2_000_000), second(7_000_000)]);
        for (from_us, to_us, meets) in [
            (0, 1_999_999, false),
            (0, 2_000_000, true),
            (2_500_000, 2_500_000, true),
            (1_000_000, 9_000_000, true),
            (3_000_000, 6_999_999, false),
            (7_999_999, 9_000_000, true),
            (8_000_000, 9_000_000, false),
        ] {
            assert_eq!(disturbances.meets(from_us, to_us), meets, "{from_us}");
            assert_eq!(disturbances.meets(to_us, from_us), meets, "{from_us}");
        }
    }

    #[test]
    fn only_marked_seconds_count_and_only_within_the_window() {
        let second = |from_us| Window {
            from_us,
            to_us: from_us + 1_000_000,
        };
        let disturbances = Disturbances::new(vec![second(3_000_000), second(2_000_000)]);
        assert_eq!(disturbances.spans().len(), 1);
        assert!(!disturbances.contains(1_999_999));
        assert!(disturbances.contains(2_000_000) && disturbances.contains(3_999_999));
        assert!(!disturbances.contains(4_000_000));
        let window = Window {
            from_us: 0,
            to_us: 2_500_000,
        };
        assert!((disturbances.seconds_in(window) - 0.5).abs() < 1e-9);
    }
}
