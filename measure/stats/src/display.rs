//! What a viewer saw of one repetition: when pictures followed one another, where they stood still, which came late.

use timeline::hist::LatencyHistogram;

use super::{Disturbances, Window, quantile};

/// Of a stream with long frame intervals: so many of them without a new picture are a freeze.
const FREEZE_INTERVALS: f64 = 3.0;

/// Of one with short intervals: so much more than one of them, in microseconds.
const FREEZE_MORE_US: f64 = 150_000.0;

/// The time between two new pictures above which it is a freeze, in microseconds, at `fps` frames a second: three intervals, or 150 ms
/// more than one, whichever is longer. It is `freezeCount`'s rule (W3C, Identifiers for WebRTC's Statistics API), with the schedule's
/// interval in place of the mean of what was received.
pub fn freeze_us(fps: f64) -> u64 {
    let interval_us = 1e6 / fps.max(1.0);
    let longest = (interval_us * FREEZE_INTERVALS).max(interval_us + FREEZE_MORE_US);
    whole(longest).unsigned_abs()
}

/// What the paper asks of a system for XR, end to end, in microseconds.
pub const XR_BOUND_US: i64 = 15_000;

/// How quickly the jitter of RFC 3550 (6.4.1) follows.
const RFC_GAIN: f64 = 1.0 / 16.0;

/// A picture that the client handed to its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// When, microseconds since the Unix epoch.
    pub shown_us: u64,
    /// The key of the frame.
    pub key: u32,
    /// The frame's generation and latency in microseconds, where the stamp was read.
    pub read: Option<(u64, i64)>,
    /// The frame had been shown before.
    pub again: bool,
    /// The frame was generated in the measured time. The picture before the first of them, and the one after the last, bound
    /// the gaps at the edges.
    pub measured: bool,
}

/// A time without a new picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// When the last new picture was shown, or measuring began, microseconds since the Unix epoch.
    pub from_us: u64,
    /// When the next one was shown, or measuring ended.
    pub to_us: u64,
    /// Whether a second of it was disturbed.
    pub disturbed: bool,
}

impl Freeze {
    /// The length of the freeze in microseconds.
    pub const fn length_us(&self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }
}

/// One repetition as it was seen, or several merged.
#[derive(Clone, Debug, Default)]
pub struct Display {
    /// Pictures of measured frames, repeated ones among them.
    pub pictures: u64,
    /// Pictures that showed the same frame as the one right before.
    pub frozen: u64,
    /// Frames whose latency is more than one frame interval above the repetition's p50: the next one was due before them.
    pub late: u64,
    /// Frames with a latency above [`XR_BOUND_US`].
    pub over_bound: u64,
    /// Times without a new picture that are longer than [`freeze_us`], in their order.
    pub freezes: Vec<Freeze>,
    /// How far the time between two successive new pictures is from a frame interval, in microseconds, without its sign.
    pub deviation: LatencyHistogram,
    /// Sum and sum of squares of these deviations, with their sign.
    sums: [f64; 2],
    /// Sum of the running jitter of RFC 3550, and how often it was taken.
    rfc: (f64, u64),
}

impl Display {
    /// Of all pictures of a repetition, in any order, with the schedule's `fps` frames a second.
    pub fn of(
        mut pictures: Vec<Picture>,
        window: Window,
        fps: f64,
        disturbances: Option<&Disturbances>,
    ) -> Self {
        pictures.sort_by_key(|picture| picture.shown_us);
        let interval_us = 1e6 / fps.max(1.0);
        let mut display = Self {
            pictures: pictures.iter().filter(|one| one.measured).count() as u64,
            frozen: pictures
                .windows(2)
                .filter(|pair| pair[1].measured && pair[1].again && pair[0].key == pair[1].key)
                .count() as u64,
            ..Self::default()
        };
        pictures.retain(|picture| !picture.again);
        display.count_late(&pictures, interval_us);
        display.follow(&pictures, interval_us);
        display.freezes = freezes(&pictures, window, freeze_us(fps))
            .map(|(from_us, to_us)| Freeze {
                from_us,
                to_us,
                disturbed: disturbances.is_some_and(|disturbances| {
                    disturbances.seconds_in(Window { from_us, to_us }) > 0.0
                }),
            })
            .collect();
        display
    }

    fn count_late(&mut self, new: &[Picture], interval_us: f64) {
        let mut latencies: Vec<i64> = new
            .iter()
            .filter(|picture| picture.measured)
            .filter_map(|picture| Some(picture.read?.1))
            .collect();
        latencies.sort_unstable();
        let Some(middle) = quantile(&latencies, 500) else {
            return;
        };
        let above = |bound: f64| {
            let within = latencies.partition_point(|latency| *latency as f64 <= bound);
            (latencies.len() - within) as u64
        };
        self.late = above(middle as f64 + interval_us);
        self.over_bound = above(XR_BOUND_US as f64);
    }

    /// How evenly new pictures follow one another.
    fn follow(&mut self, new: &[Picture], interval_us: f64) {
        let mut jitter = 0.0;
        for pair in new.windows(2) {
            let measured = pair[1].measured;
            let took = pair[1].shown_us.saturating_sub(pair[0].shown_us) as f64;
            if measured {
                let deviation = took - interval_us;
                self.deviation.record(whole(deviation.abs()));
                self.sums[0] += deviation;
                self.sums[1] += deviation * deviation;
            }
            if let (Some((earlier, _)), Some((later, _))) = (pair[0].read, pair[1].read) {
                // It begins at zero, and has become what it is by the end of the warm-up.
                let transit = took - (later as f64 - earlier as f64);
                jitter += (transit.abs() - jitter) * RFC_GAIN;
                if measured {
                    self.rfc = (self.rfc.0 + jitter, self.rfc.1 + 1);
                }
            }
        }
    }

    /// Standard deviation of the time between two new pictures, in microseconds; none without two.
    pub fn interval_stddev_us(&self) -> Option<f64> {
        let count = self.deviation.count();
        (count > 0).then(|| {
            let mean = self.sums[0] / count as f64;
            (self.sums[1] / count as f64 - mean * mean).max(0.0).sqrt()
        })
    }

    /// The interarrival jitter of RFC 3550, taken at the display instead of at the receiver: the mean of its running value, in
    /// microseconds; none without two frames that were read.
    pub fn rfc3550_jitter_us(&self) -> Option<f64> {
        (self.rfc.1 > 0).then(|| self.rfc.0 / self.rfc.1 as f64)
    }

    /// Adds the display of another repetition.
    pub fn merge(&mut self, other: &Self) {
        self.pictures += other.pictures;
        self.frozen += other.frozen;
        self.late += other.late;
        self.over_bound += other.over_bound;
        self.freezes.extend(&other.freezes);
        // Two histograms of a run's size cannot overflow one.
        let _: Result<(), _> = self.deviation.merge(&other.deviation);
        for (sum, others) in self.sums.iter_mut().zip(other.sums) {
            *sum += others;
        }
        self.rfc = (self.rfc.0 + other.rfc.0, self.rfc.1 + other.rfc.1);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time between two pictures of a repetition, in microseconds, is far below 2^53"
)]
fn whole(us: f64) -> i64 {
    us.round() as i64
}

/// The gaps between new pictures, cut to the measured time, that are longer than `longest_us`.
fn freezes(new: &[Picture], window: Window, longest_us: u64) -> impl Iterator<Item = (u64, u64)> {
    let first = new.iter().position(|picture| picture.measured);
    let last = new.iter().rposition(|picture| picture.measured);
    let edges: Vec<u64> = match first.zip(last) {
        // With the picture before the first measured frame, and the one after the last, or the end of the time.
        Some((first, last)) => {
            let before = first.saturating_sub(1);
            let shown = new[before..=last].iter().map(|picture| picture.shown_us);
            let after = new.get(last + 1).map_or(window.to_us, |next| next.shown_us);
            shown.chain([after]).collect()
        }
        None => vec![window.from_us, window.to_us],
    };
    let of_window = move |at_us: u64| at_us.clamp(window.from_us, window.to_us.max(window.from_us));
    long_gaps(edges.into_iter().map(of_window), longest_us)
}

/// Times between two of ascending instants, in microseconds, that are longer than `longest_us`.
pub fn long_gaps(
    instants: impl IntoIterator<Item = u64>,
    longest_us: u64,
) -> impl Iterator<Item = (u64, u64)> {
    let mut instants = instants.into_iter();
    let mut last = instants.next();
    instants
        .filter_map(move |at| Some((last.replace(at)?, at)))
        .filter(move |(from, to)| to.saturating_sub(*from) > longest_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms: 50 frames a second.
    const FRAME_US: u64 = 20_000;
    const WINDOW: Window = Window {
        from_us: 1_000_000,
        to_us: 3_000_000,
    };

    /// Frame `number`, 8 ms after its generation; frame 50 is the first measured, 149 the last.
    fn picture(number: u32) -> Picture {
        let generated = u64::from(number) * FRAME_US;
        Picture {
            shown_us: generated + 8_000,
            key: number,
            read: Some((generated, 8_000)),
            again: false,
            measured: WINDOW.contains(generated),
        }
    }

    fn display(pictures: Vec<Picture>) -> Display {
        Display::of(pictures, WINDOW, 50.0, None)
    }

    #[test]
    fn an_even_stream_has_nothing_to_say() {
        let display = display((0..160).map(picture).collect());
        assert_eq!(
            (display.pictures, display.frozen, display.late),
            (100, 0, 0)
        );
        assert!(display.freezes.is_empty());
        assert_eq!(
            display.deviation.count(),
            100,
            "the first one follows a warm-up frame"
        );
        assert_eq!(display.deviation.quantile_us(1.0), Some(0));
        assert_eq!(display.interval_stddev_us(), Some(0.0));
        assert_eq!(display.rfc3550_jitter_us(), Some(0.0));
    }

    #[test]
    fn a_freeze_is_three_intervals_or_150_ms_more_than_one() {
        assert_eq!(
            [5.0, 10.0, 50.0].map(freeze_us),
            [600_000, 300_000, 170_000]
        );
        // A perfect stream of nine frames a second stands for 111 ms after each.
        let even = (0..30).map(|number: u32| {
            let generated = u64::from(number) * 111_111;
            Picture {
                shown_us: generated,
                key: number,
                read: Some((generated, 0)),
                again: false,
                measured: WINDOW.contains(generated),
            }
        });
        let freezes = Display::of(even.collect(), WINDOW, 9.0, None).freezes;
        assert_eq!(freezes, []);
    }

    #[test]
    fn a_longer_gap_is_a_freeze_with_its_time() {
        // Without 60 to 68, 59 stands for 200 ms; without 80 to 86, 79 stands for 160.
        let gone = |number: &u32| (60..69).contains(number) || (80..87).contains(number);
        let of = |disturbances: Option<&Disturbances>| {
            let pictures = (0..160)
                .filter(|number| !gone(number))
                .map(picture)
                .collect();
            Display::of(pictures, WINDOW, 50.0, disturbances).freezes
        };
        let freeze = Freeze {
            from_us: 1_188_000,
            to_us: 1_388_000,
            disturbed: false,
        };
        assert_eq!(of(None), [freeze]);
        assert_eq!(freeze.length_us(), 200_000);
        let busy = Disturbances::new(vec![Window {
            from_us: 1_380_000,
            to_us: 2_300_000,
        }]);
        assert!(of(Some(&busy))[0].disturbed);
    }

    #[test]
    fn a_stream_that_stops_is_frozen_to_the_end_and_one_that_never_came_all_the_time() {
        let stopped = display((0..100).map(picture).collect());
        assert_eq!(stopped.freezes.len(), 1);
        assert_eq!(
            (stopped.freezes[0].from_us, stopped.freezes[0].to_us),
            (1_988_000, 3_000_000)
        );
        // It stopped in the warm-up: the time before measuring is not counted.
        let late = display((0..30).chain(70..160).map(picture).collect());
        assert_eq!(late.freezes[0].length_us(), 408_000);
        assert_eq!(display(Vec::new()).freezes[0].length_us(), 2_000_000);
    }

    #[test]
    fn a_repeated_picture_is_frozen_and_ends_no_freeze() {
        let mut pictures: Vec<_> = (0..160)
            .filter(|number| !(60..70).contains(number))
            .map(picture)
            .collect();
        for after in [20_000, 100_000] {
            pictures.push(Picture {
                shown_us: picture(59).shown_us + after,
                again: true,
                ..picture(59)
            });
        }
        // Shown before, but not right before: a duplicate that is not frozen.
        pictures.push(Picture {
            shown_us: picture(120).shown_us + 1_000,
            again: true,
            ..picture(100)
        });
        let display = display(pictures);
        assert_eq!((display.frozen, display.freezes.len()), (2, 1));
        assert_eq!(display.freezes[0].length_us(), 220_000);
        assert_eq!(display.pictures, 93);
    }

    #[test]
    fn late_is_after_the_next_one_was_due() {
        let mut pictures: Vec<_> = (0..160).map(picture).collect();
        for (number, latency) in [(70, 28_000), (90, 28_001), (110, 15_000), (111, 15_001)] {
            let generated = u64::from(number) * FRAME_US;
            pictures[number as usize] = Picture {
                shown_us: generated + latency,
                read: Some((generated, latency.cast_signed())),
                ..picture(number)
            };
        }
        let display = display(pictures);
        assert_eq!((display.late, display.over_bound), (1, 3));
    }

    #[test]
    fn jitter_is_how_uneven_the_pictures_follow() {
        // Every second picture 3 ms late: intervals of 23 and 17 ms in turn.
        let pictures = (0..160).map(|number| {
            let late = u64::from(number % 2) * 3_000;
            let generated = u64::from(number) * FRAME_US;
            Picture {
                shown_us: generated + 8_000 + late,
                read: Some((generated, (8_000 + late).cast_signed())),
                ..picture(number)
            }
        });
        let mut one = display(pictures.collect());
        let stddev = one.interval_stddev_us().expect("intervals");
        assert!((stddev - 3_000.0).abs() < 1.0, "{stddev}");
        let p99 = one.deviation.quantile_us(0.99).expect("intervals");
        assert!(p99.abs_diff(3_000) <= 3, "{p99}");
        // |D| is 3 ms each time: the running value climbs to it from 0.
        let jitter = one.rfc3550_jitter_us().expect("read");
        assert!((2_400.0..3_000.0).contains(&jitter), "{jitter}");
        // By the end of a warm-up it is there.
        let climbed = (0..480).map(|number| {
            let late = u64::from(number % 2) * 3_000;
            let generated = u64::from(number) * FRAME_US;
            Picture {
                shown_us: generated + late,
                read: Some((generated, late.cast_signed())),
                measured: number >= 160,
                ..picture(number)
            }
        });
        let climbed = display(climbed.collect()).rfc3550_jitter_us();
        assert!(
            climbed.is_some_and(|us| (us - 3_000.0).abs() < 1.0),
            "{climbed:?}"
        );
        one.merge(&display((0..160).map(picture).collect()));
        let merged = one.interval_stddev_us().expect("intervals");
        assert!((merged - 3_000.0 / 2.0_f64.sqrt()).abs() < 1.0, "{merged}");
        assert_eq!((one.pictures, one.deviation.count()), (200, 200));
    }
}
