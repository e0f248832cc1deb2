//! Tests of the histogram and of its log.

use proptest::prelude::*;

use super::histogram::MAX_COUNT;
use super::*;
use crate::UnixMicros;

const START: UnixMicros = UnixMicros(1_763_000_000_123_456);

fn histogram(samples: &[i64]) -> LatencyHistogram {
    let mut histogram = LatencyHistogram::new();
    for sample in samples {
        histogram.record(*sample);
    }
    histogram
}

type Forgery<'a> = &'a dyn Fn(&mut Vec<u8>);

fn after(seconds: u64) -> UnixMicros {
    UnixMicros(START.0 + seconds * 1_000_000)
}

/// One interval a second.
fn log(intervals: &[(Option<&str>, LatencyHistogram)]) -> Vec<u8> {
    let mut writer = LogWriter::begin(Vec::new(), START).unwrap();
    for (second, (tag, histogram)) in (0..).zip(intervals) {
        writer
            .write(*tag, after(second), after(second + 1), histogram)
            .unwrap();
    }
    writer.into_inner()
}

fn samples() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(prop_oneof![0..100_000_i64, 0..60_000_000_i64], 0..200)
}

proptest! {
    /// Each figure is that of the sorted samples, to three digits.
    #[test]
    fn quantiles_are_those_of_the_samples(mut samples in samples(), quantile in 0.0..=1.0) {
        prop_assume!(!samples.is_empty());
        let told = histogram(&samples).quantile_us(quantile).unwrap();
        samples.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the number of samples")]
        let rank = ((quantile * samples.len() as f64).ceil() as usize).max(1);
        let exact = samples[rank - 1].cast_unsigned();
        prop_assert!(told.abs_diff(exact) <= exact / 1_000 + 1, "{told} for {exact}");
    }

    /// Merged intervals are the histogram of all samples, and a log gives back what was written.
    #[test]
    fn a_log_merges_to_the_whole(parts in prop::collection::vec(samples(), 0..5)) {
        let intervals: Vec<_> = parts.iter().map(|part| (None, histogram(part))).collect();
        let bytes = log(&intervals);
        let read: Vec<_> = Intervals::new(&bytes).map(Result::unwrap).collect();
        prop_assert_eq!(read.iter().map(|i| &i.histogram).collect::<Vec<_>>(), intervals.iter().map(|i| &i.1).collect::<Vec<_>>());
        prop_assert_eq!(Intervals::new(&bytes).merged(None).unwrap(), histogram(&parts.concat()));
    }

    /// A log cut anywhere gives the intervals whose lines are whole.
    #[test]
    fn a_cut_loses_the_cut_line_only(cut: prop::sample::Index) {
        let mut bytes = log(&[(None, histogram(&[10, 20])), (Some("late"), histogram(&[30])), (None, histogram(&[]))]);
        bytes.truncate(cut.index(bytes.len() + 1));
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let whole = lines.filter(|line| !line.starts_with(b"#") && !line.starts_with(b"\"")).count();
        let read: Vec<_> = Intervals::new(&bytes).map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), whole);
    }

    /// Any bytes end without a panic, and so does a log with one byte changed.
    #[test]
    fn garbage_ends(noise: Vec<u8>, place: prop::sample::Index, byte: u8) {
        let _ = Intervals::new(&noise).merged(None);
        let mut bytes = log(&[(None, histogram(&[1, 2_000, 3_000_000]))]);
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = Intervals::new(&bytes).merged(None);
    }
}

#[test]
fn figures_of_a_known_distribution() {
    let hundred: Vec<_> = (1..=100).map(|ms| ms * 1_000).collect();
    let figures = histogram(&hundred).figures().unwrap();
    let near = |told: u64, exact: u64| {
        assert!(
            told.abs_diff(exact) <= exact / 1_000 + 1,
            "{told} for {exact}"
        );
    };
    assert_eq!(figures.count, 100);
    near(figures.min, 1_000);
    near(figures.p50, 50_000);
    near(figures.p90, 90_000);
    near(figures.p95, 95_000);
    near(figures.p99, 99_000);
    near(figures.max, 100_000);
    assert!((figures.mean - 50_500.0).abs() < 50.0, "{}", figures.mean);
    assert!(
        (figures.stddev - 28_866.0).abs() < 50.0,
        "{}",
        figures.stddev
    );
    assert_eq!(LatencyHistogram::new().figures(), None);
}

#[test]
fn what_does_not_fit_is_clamped_and_counted() {
    let histogram = histogram(&[-5, 0, 60_000_000, 60_000_001, i64::MAX, i64::MIN]);
    assert_eq!((histogram.count(), histogram.clamped()), (6, 4));
    assert_eq!(
        (histogram.quantile_us(0.0), histogram.quantile_us(1.0)),
        (Some(0), Some(MAX_US))
    );
}

#[test]
fn the_log_looks_as_the_tools_expect() {
    let bytes = log(&[
        (None, histogram(&[25_000])),
        (Some("disturbed"), histogram(&[40_000])),
    ]);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "#[Histogram log format version 1.3]");
    assert_eq!(
        lines[1],
        "#[StartTime: 1763000000.123 (seconds since epoch)]"
    );
    assert!(
        lines[5].starts_with("0.000,1.000,25007.000,HISTFAAA"),
        "{}",
        lines[5]
    );
    assert!(
        lines[6].starts_with("Tag=disturbed,1.000,1.000,40031.000,HISTFAAA"),
        "{}",
        lines[6]
    );
    assert_eq!(
        Intervals::new(&bytes).merged(Some("disturbed")).unwrap(),
        histogram(&[40_000])
    );
    // The field's own reader agrees.
    let theirs = hdrhistogram::serialization::interval_log::IntervalLogIterator::new(&bytes);
    assert_eq!(theirs.flatten().count(), 4);
    for tag in ["", "a b", "a,b", "a\n"] {
        let mut writer = LogWriter::begin(Vec::new(), START).unwrap();
        assert!(
            writer
                .write(Some(tag), START, START, &LatencyHistogram::new())
                .is_err(),
            "{tag:?}"
        );
    }
}

#[test]
fn forged_histograms_are_refused() {
    use base64::Engine as _;
    use std::io::Write as _;

    let forge = |change: Forgery<'_>| {
        // A head of our bounds, and counts: a run of ten zeros, then one sample.
        let mut plain = Vec::new();
        for word in [
            0x1c84_9313,
            2,
            0,
            3,
            0,
            1,
            0,
            60_000_000,
            0x3ff0_0000_u32,
            0,
        ] {
            plain.extend(word.to_be_bytes());
        }
        plain.extend([19, 2]);
        change(&mut plain);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&plain).unwrap();
        let body = zlib.finish().unwrap();
        let mut all = 0x1c84_9314_u32.to_be_bytes().to_vec();
        all.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        all.extend(body);
        let line = format!(
            "0.0,1.0,1.0,{}\n",
            base64::engine::general_purpose::STANDARD.encode(all)
        );
        Intervals::new(line.as_bytes())
            .next()
            .unwrap()
            .map(|interval| interval.histogram)
    };
    let length = |plain: &mut Vec<u8>| {
        let counts = u32::try_from(plain.len() - 40).unwrap();
        plain[4..8].copy_from_slice(&counts.to_be_bytes());
    };
    assert_eq!(forge(&|_| ()).unwrap(), histogram(&[10]));
    let refused: [Forgery<'_>; 7] = [
        // A length of 4 GB; other digits; other bounds; a count of 2^62; a run of 2^62 zeros; a cut count; a bomb.
        &|plain| plain[4] = 0xff,
        &|plain| plain[15] = 5,
        &|plain| plain[28] = 1,
        &|plain| {
            plain.truncate(40);
            plain.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
            length(plain);
        },
        &|plain| {
            plain.truncate(40);
            plain.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
            length(plain);
        },
        &|plain| {
            plain.push(0x80);
            length(plain);
        },
        &|plain| {
            plain.resize(100_000_000, 0);
            length(plain);
        },
    ];
    for (index, change) in refused.iter().enumerate() {
        assert!(
            matches!(forge(*change), Err(LogError::Histogram { line: 1, .. })),
            "forgery {index}"
        );
    }
}

#[test]
fn merging_cannot_overflow() {
    let mut full = histogram(&[7]);
    while full.count() <= MAX_COUNT / 2 {
        let same = full.clone();
        full.merge(&same).unwrap();
    }
    let same = full.clone();
    assert_eq!(full.merge(&same), Err(TooMany));
    assert_eq!(full, same);
}
