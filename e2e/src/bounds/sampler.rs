//! What the sampler costs the frames that it meets: those that were on their way while it read the processes, beside the same
//! pictures at other times.

use std::collections::BTreeMap;
use std::path::Path;

use ::result::rows::{self, HostRow};
use ::result::{ContentMeta, FrameRows, RunFolder};
use timeline::frames_csv::{Outcome, Phase};
use timeline::{Point, UnixMicros};

use super::figure::{Bound, Figure};

/// The most that p95 may gain by it, in milliseconds.
const MOST_MS: f64 = 0.1;

/// A frame that was shown.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The picture of the film.
    picture: u64,
    latency_us: i64,
    /// Whether it met a pass.
    met: bool,
}

/// Its cost in a scenario of a result, and how many frames met it.
///
/// # Panics
/// If the result cannot be read.
pub(super) fn cost(folder: &Path, scenario: &str) -> Vec<Figure> {
    let repetitions = RunFolder::new(folder).repetitions().expect("a result");
    let mut frames = Vec::new();
    for (meta, repetition) in repetitions {
        if meta.scenario == scenario && meta.complete {
            let host = rows::read::<HostRow>(&repetition.host_csv()).expect("readable");
            let passes = passes(&host.map(|host| host.rows).unwrap_or_default());
            for row in FrameRows::open(&repetition).expect("frames.csv") {
                let row = row.expect("a row");
                let is_sample = row.outcome == Outcome::Shown && row.phase == Some(Phase::Measured);
                let ends = row.at(Point::Generated).zip(row.at(Point::Decoded));
                let (Some(number), Some((from, to)), true) = (row.frame, ends, is_sample) else {
                    continue;
                };
                frames.push(Frame {
                    picture: picture(meta.content, number.0.into()),
                    latency_us: to.micros_since(from),
                    met: meets(&passes, from, to),
                });
            }
        }
    }
    let (met, gain) = gain_us(&frames);
    vec![
        Figure::of(
            format!("{scenario}, frames that met a pass of the sampler"),
            met as f64,
            "frames",
        ),
        Figure::of(
            format!("{scenario}, p95 by the sampler"),
            gain.map(|us| us / 1e3),
            "ms",
        )
        .within(Bound::AtMost(MOST_MS)),
    ]
}

/// The picture that a frame shows: after the last one of a film comes its first.
fn picture(content: Option<ContentMeta>, frame: u64) -> u64 {
    let Some(content) = content else {
        return frame;
    };
    let shown = content.start + frame;
    match content.pictures {
        Some(pictures) if pictures > 0 => shown % pictures,
        _ => shown,
    }
}

fn passes(host: &[HostRow]) -> Vec<(UnixMicros, UnixMicros)> {
    let passes = host.iter().map(|row| row.pass_from_us.zip(row.pass_to_us));
    passes.flatten().collect()
}

/// Whether a frame was on its way during one of the passes, which are in the order of time.
fn meets(passes: &[(UnixMicros, UnixMicros)], from: UnixMicros, to: UnixMicros) -> bool {
    let after = passes.partition_point(|(_, end)| *end < from);
    passes.get(after).is_some_and(|(begin, _)| *begin <= to)
}

/// How many frames met a pass, and by how much p95 of all is more than with each of these given the median of its picture in frames
/// that met none; without such a picture a frame is in neither. Nothing where no frame can be compared.
fn gain_us(frames: &[Frame]) -> (usize, Option<f64>) {
    let mut quiet = BTreeMap::<u64, Vec<i64>>::new();
    for frame in frames.iter().filter(|frame| !frame.met) {
        quiet
            .entry(frame.picture)
            .or_default()
            .push(frame.latency_us);
    }
    for latencies in quiet.values_mut() {
        latencies.sort_unstable();
    }
    let (mut with, mut without, mut met) = (Vec::new(), Vec::new(), 0);
    for frame in frames {
        let instead = if frame.met {
            let of_picture = quiet.get(&frame.picture);
            of_picture.map(|of| of[of.len() / 2])
        } else {
            Some(frame.latency_us)
        };
        if let Some(instead) = instead {
            with.push(frame.latency_us);
            without.push(instead);
            met += usize::from(frame.met);
        }
    }
    let gain = p95(&mut with).zip(p95(&mut without));
    let gain = gain.filter(|_| met > 0);
    (met, gain.map(|(with, without)| (with - without) as f64))
}

fn p95(latencies: &mut [i64]) -> Option<i64> {
    latencies.sort_unstable();
    let rank = (latencies.len() * 95).div_ceil(100);
    latencies.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty pictures of which each takes its own time, over and over; one frame in thirty meets a pass, which costs it so much.
    fn frames(cost_us: i64) -> Vec<Frame> {
        let frame = |number: u64| {
            let picture = number % 60;
            let met = number.is_multiple_of(31);
            let own = 6_000 + i64::try_from(picture).expect("small") * 20;
            Frame {
                picture,
                latency_us: own + if met { cost_us } else { 0 },
                met,
            }
        };
        (0..6_000).map(frame).collect()
    }

    #[test]
    fn a_pass_that_costs_nothing_gains_nothing_whatever_the_pictures_take() {
        let (met, gain) = gain_us(&frames(0));
        assert_eq!((met, gain), (194, Some(0.0)));
    }

    #[test]
    fn a_pass_that_holds_frames_up_is_seen_in_p95() {
        let (_, gain) = gain_us(&frames(5_000));
        assert!(gain.is_some_and(|us| us > 20.0), "{gain:?}");
        // Nothing to compare with is no proof.
        let alone: Vec<_> = frames(0).into_iter().filter(|frame| frame.met).collect();
        assert_eq!(gain_us(&alone), (0, None));
    }

    #[test]
    fn a_frame_meets_the_pass_during_which_it_was_on_its_way() {
        let us = UnixMicros;
        let passes = [(us(100), us(140)), (us(1_100), us(1_140))];
        let found = [
            (90, 99),
            (90, 100),
            (120, 130),
            (140, 150),
            (141, 1_099),
            (1_000, 2_000),
        ]
        .map(|(from, to)| meets(&passes, us(from), us(to)));
        assert_eq!(found, [false, true, true, true, false, true]);
        let film = ContentMeta {
            start: 130,
            pictures: Some(132),
            ..ContentMeta::default()
        };
        assert_eq!(
            [0, 2, 134].map(|frame| picture(Some(film), frame)),
            [130, 0, 0]
        );
        assert_eq!(picture(None, 7), 7);
    }
}
