//! Readings that were taken at times of their own, put on one grid of time: each interval has the use of every series. Pure.

use std::collections::BTreeMap;

use cluster::cadvisor::Reading;

/// The length of an interval, so short that little is lost at the ends of a repetition.
pub(super) const STEP_MS: i64 = 2_000;

/// What had been used by a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at_ms: i64,
    pub(super) cpu_s: f64,
    pub(super) memory: f64,
    pub(super) throttled_s: Option<f64>,
}

impl Point {
    /// A reading; none where a figure of it is missing.
    pub(super) fn of(reading: &Reading) -> Option<Self> {
        Some(Self {
            at_ms: reading.at_ms?,
            cpu_s: reading.cpu_s?,
            memory: reading.memory_bytes?,
            throttled_s: reading.throttled_s,
        })
    }
}

/// The use of one series from one time to another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Used<T> {
    pub(super) what: T,
    pub(super) from: Point,
    pub(super) to: Point,
}

/// The readings of one container or node, and what it is.
#[derive(Debug)]
struct Series<T> {
    what: T,
    points: Vec<Point>,
}

/// Every reading that counts, by the name of its series.
#[derive(Debug)]
pub(super) struct Grid<T> {
    series: BTreeMap<String, Series<T>>,
    /// The beginning of the next interval.
    next_ms: i64,
}

impl<T> Default for Grid<T> {
    fn default() -> Self {
        Self {
            series: BTreeMap::new(),
            next_ms: 0,
        }
    }
}

impl<T: Clone> Grid<T> {
    /// Whether a series has a reading.
    pub(super) fn has(&self, name: &str) -> bool {
        self.series.contains_key(name)
    }

    /// Takes a reading of a series, of `what`.
    pub(super) fn note(&mut self, name: &str, what: &T, point: Point) {
        if !self.has(name) {
            // Before it was read first, its share is not known.
            self.next_ms = self.next_ms.max(point.at_ms);
        }
        let series = self.series.entry(name.to_owned());
        let series = series.or_insert_with(|| Series {
            what: what.clone(),
            points: Vec::new(),
        });
        let last = series.points.last();
        if last.is_none_or(|last| point.at_ms > last.at_ms) {
            series.points.push(point);
        }
    }

    /// Keeps the series that are still there. Of what has ended since its last reading nobody knows: the intervals until now are left
    /// out.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool, now_ms: i64) {
        let before = self.series.len();
        self.series.retain(|name, _| is_there(name));
        if self.series.len() < before {
            self.next_ms = self.next_ms.max(now_ms);
        }
    }

    /// What each series used in every interval that lies between readings of all.
    pub(super) fn intervals(&mut self) -> Vec<Vec<Used<T>>> {
        let lasts = self.series.values().map(|one| one.points.last());
        let known_ms = lasts.map(|last| last.map_or(0, |last| last.at_ms)).min();
        let mut intervals = Vec::new();
        while known_ms.is_some_and(|known_ms| self.next_ms + STEP_MS <= known_ms) {
            let (from_ms, to_ms) = (self.next_ms, self.next_ms + STEP_MS);
            let used = self.series.values().filter_map(|one| {
                Some(Used {
                    what: one.what.clone(),
                    from: one.at(from_ms)?,
                    to: one.at(to_ms)?,
                })
            });
            intervals.push(used.collect());
            self.next_ms = to_ms;
        }
        let next_ms = self.next_ms;
        for series in self.series.values_mut() {
            series.forget_before(next_ms);
        }
        intervals
    }
}

impl<T> Series<T> {
    /// What was used by a time between two readings.
    fn at(&self, at_ms: i64) -> Option<Point> {
        let after = self.points.partition_point(|one| one.at_ms < at_ms);
        let later = *self.points.get(after)?;
        if later.at_ms == at_ms {
            return Some(later);
        }
        let earlier = *self.points.get(after.checked_sub(1)?)?;
        let part = (at_ms - earlier.at_ms) as f64 / (later.at_ms - earlier.at_ms) as f64;
        let between = |one: f64, two: f64| one + (two - one) * part;
        Some(Point {
            at_ms,
            cpu_s: between(earlier.cpu_s, later.cpu_s),
            memory: between(earlier.memory, later.memory),
            throttled_s: (earlier.throttled_s.zip(later.throttled_s))
                .map(|(one, two)| between(one, two)),
        })
    }

    /// Keeps one reading from before this time, and all after it.
    fn forget_before(&mut self, at_ms: i64) {
        let first_after = self.points.partition_point(|one| one.at_ms <= at_ms);
        self.points.drain(..first_after.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn point(at_ms: i64, cpu_s: f64) -> Point {
        Point {
            at_ms,
            cpu_s,
            memory: 1e6,
            throttled_s: None,
        }
    }

    /// Each series in every interval, in seconds of processor time.
    fn used(grid: &mut Grid<&'static str>) -> Vec<(i64, &'static str, f64)> {
        let intervals = grid.intervals().into_iter().flatten();
        intervals
            .map(|one| (one.to.at_ms, one.what, one.to.cpu_s - one.from.cpu_s))
            .collect()
    }

    #[test]
    fn an_interval_lies_between_readings_of_all() {
        let mut grid = Grid::default();
        grid.note("1", &"client", point(1_000, 1.0));
        grid.note("2", &"renderer", point(3_000, 2.0));
        assert_eq!(used(&mut grid), []);
        grid.note("1", &"client", point(11_000, 2.0));
        assert_eq!(used(&mut grid), [], "of the renderer nothing is known yet");
        grid.note("2", &"renderer", point(13_000, 7.0));
        let both = |at_ms| [(at_ms, "client", 0.2), (at_ms, "renderer", 1.0)];
        let found = used(&mut grid);
        let expected = [5_000, 7_000, 9_000, 11_000].map(both).concat();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((found.0, found.1), (expected.0, expected.1));
            assert!((found.2 - expected.2).abs() < 1e-9, "{found:?}");
        }
        grid.note("2", &"renderer", point(13_000, 7.0));
        assert_eq!(used(&mut grid), [], "nothing new");
    }

    #[test]
    fn intervals_in_which_a_series_ended_or_began_are_left_out() {
        let mut grid = Grid::default();
        for (at_ms, cpu_s) in [(0, 0.0), (10_000, 1.0)] {
            grid.note("1", &"client", point(at_ms, cpu_s));
            grid.note("2", &"renderer", point(at_ms, cpu_s));
        }
        assert_eq!(used(&mut grid).len(), 10);
        // The renderer is gone, and seen to be at 14 s; another comes, and is read first at 22 s.
        grid.keep(|name| name == "1", 14_000);
        grid.note("1", &"client", point(20_000, 2.0));
        let times = |found: Vec<(i64, &str, f64)>| -> Vec<i64> {
            found.iter().map(|(at_ms, ..)| at_ms / 1_000).collect()
        };
        assert_eq!(times(used(&mut grid)), [16, 18, 20], "of the client alone");
        grid.note("3", &"renderer", point(22_000, 0.5));
        assert_eq!(used(&mut grid), []);
        grid.note("1", &"client", point(30_000, 3.0));
        grid.note("3", &"renderer", point(32_000, 1.5));
        assert_eq!(times(used(&mut grid)), [24, 24, 26, 26, 28, 28, 30, 30]);
    }
}
