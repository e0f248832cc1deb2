//! What the sampler costs the frames that it meets: those that were on their way while it read the processes, beside the same
//! pictures at other times, and beside what is found in the same way where no pass was.

use std::collections::BTreeMap;
use std::path::Path;

use ::result::rows::{self, HostRow};
use ::result::{ContentMeta, FrameRows, RunFolder};
use timeline::frames_csv::{Outcome, Phase};
use timeline::{Point, UnixMicros};

use super::figure::{Bound, Figure};

/// The most that p95 may gain by it, in milliseconds.
const MOST_MS: f64 = 0.1;

/// How far passes are moved to where none was, in microseconds, either way.
const CONTROLS_US: [i64; 8] = [
    100_000, 150_000, 200_000, 250_000, 300_000, 350_000, 400_000, 450_000,
];

/// A frame that was shown.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The picture of the film.
    picture: u64,
    from: UnixMicros,
    to: UnixMicros,
    /// The passes of its repetition.
    repetition: usize,
}

impl Frame {
    fn latency_us(&self) -> i64 {
        self.to.micros_since(self.from)
    }
}

/// Begin and end of each pass of a repetition, in the order of time.
type Passes = Vec<(UnixMicros, UnixMicros)>;

/// Its cost in a scenario of a result, and how many frames met it.
///
/// # Panics
/// If the result cannot be read.
pub(super) fn cost(folder: &Path, scenario: &str) -> Vec<Figure> {
    let repetitions = RunFolder::new(folder).repetitions().expect("a result");
    let (mut frames, mut all_passes) = (Vec::new(), Vec::<Passes>::new());
    for (meta, repetition) in repetitions {
        if meta.scenario == scenario && meta.complete {
            let host = rows::read::<HostRow>(&repetition.host_csv()).expect("readable");
            all_passes.push(passes(&host.map(|host| host.rows).unwrap_or_default()));
            for row in FrameRows::open(&repetition).expect("frames.csv") {
                let row = row.expect("a row");
                let is_sample = row.outcome == Outcome::Shown && row.phase == Some(Phase::Measured);
                let ends = row.at(Point::Generated).zip(row.at(Point::Decoded));
                let (Some(number), Some((from, to)), true) = (row.frame, ends, is_sample) else {
                    continue;
                };
                frames.push(Frame {
                    picture: picture(meta.content, number.0.into()),
                    from,
                    to,
                    repetition: all_passes.len() - 1,
                });
            }
        }
    }
    let cost = cost_of(&frames, &all_passes);
    vec![
        Figure::of(
            format!("{scenario}, frames that met a pass of the sampler"),
            cost.met as f64,
            "frames",
        ),
        Figure::of(
            format!("{scenario}, p95 by the sampler"),
            cost.gain_us.map(|us| us / 1e3),
            "ms",
        )
        .within(Bound::AtMost(MOST_MS)),
        Figure::of(
            format!("{scenario}, p95 where no pass was, at most"),
            cost.control_us.map(|us| us / 1e3),
            "ms",
        ),
    ]
}

/// What the passes of the sampler cost the frames of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// How many frames were on their way during a pass.
    met: usize,
    /// What p95 gains by them, beyond the mean of what it gains where none was.
    gain_us: Option<f64>,
    /// The most that it gains where none was, beyond the mean of that: gains up to this may be chance.
    control_us: Option<f64>,
}

/// Estimates what the passes of the sampler cost. Replacing any frames by the median of their pictures lowers a p95, so the same is
/// done with as many frames that met no pass, and the mean of that is taken off.
fn cost_of(frames: &[Frame], passes: &[Passes]) -> Cost {
    let at = |shift_us: i64| {
        gain_us(frames, |frame| {
            let shifted = |at: UnixMicros| UnixMicros(at.0.saturating_add_signed(shift_us));
            let of_it = passes.get(frame.repetition).map_or(&[][..], Vec::as_slice);
            meets(of_it, shifted(frame.from), shifted(frame.to))
        })
    };
    let (met, gain) = at(0);
    let shifts = CONTROLS_US.into_iter().flat_map(|shift| [shift, -shift]);
    let controls: Vec<f64> = shifts.filter_map(|shift| at(shift).1).collect();
    let mean = controls.iter().sum::<f64>() / controls.len() as f64;
    Cost {
        met,
        gain_us: gain.map(|gain| gain - mean).filter(|gain| gain.is_finite()),
        control_us: controls
            .into_iter()
            .map(|control| control - mean)
            .max_by(f64::total_cmp),
    }
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

/// How many frames `met` a pass, and by how much p95 of all is more than with each of these given the median of its picture in frames
/// that met none; without such a picture a frame is in neither. Nothing where no frame can be compared.
fn gain_us(frames: &[Frame], met: impl Fn(&Frame) -> bool) -> (usize, Option<f64>) {
    let all: Vec<(Frame, bool)> = frames.iter().map(|frame| (*frame, met(frame))).collect();
    let mut quiet = BTreeMap::<u64, Vec<i64>>::new();
    for (frame, _) in all.iter().filter(|(_, met)| !met) {
        quiet
            .entry(frame.picture)
            .or_default()
            .push(frame.latency_us());
    }
    for latencies in quiet.values_mut() {
        latencies.sort_unstable();
    }
    let (mut with, mut without, mut count) = (Vec::new(), Vec::new(), 0);
    for (frame, met) in all {
        let instead = if met {
            let of_picture = quiet.get(&frame.picture);
            of_picture.map(|of| of[of.len() / 2])
        } else {
            Some(frame.latency_us())
        };
        if let Some(instead) = instead {
            with.push(frame.latency_us());
            without.push(instead);
            count += usize::from(met);
        }
    }
    let gain = p95(&mut with).zip(p95(&mut without));
    let gain = gain.filter(|_| count > 0);
    (count, gain.map(|(with, without)| (with - without) as f64))
}

fn p95(latencies: &mut [i64]) -> Option<i64> {
    latencies.sort_unstable();
    let rank = (latencies.len() * 95).div_ceil(100);
    latencies.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty pictures of which each takes its own time, over and over, and now and then any of them much more; one frame in 31
    /// meets a pass, which costs it so much.
    fn frames(cost_us: i64) -> (Vec<Frame>, Vec<Passes>) {
        let mut random = fastrand::Rng::with_seed(7);
        let frame = |number: u64| {
            let picture = number % 60;
            let met = number.is_multiple_of(31);
            let from = UnixMicros(1_000_000_000 + number * 16_667);
            let late = if random.u8(..) < 30 {
                random.u64(..30_000)
            } else {
                0
            };
            let cost = if met { cost_us.unsigned_abs() } else { 0 };
            Frame {
                picture,
                from,
                to: UnixMicros(from.0 + 6_000 + picture * 20 + late + cost),
                repetition: 0,
            }
        };
        let frames: Vec<_> = (0..6_000).map(frame).collect();
        let met = frames.iter().step_by(31);
        let passes = met.map(|frame| (frame.from, UnixMicros(frame.from.0 + 100)));
        let passes = vec![passes.collect()];
        (frames, passes)
    }

    #[test]
    fn a_pass_that_costs_nothing_gains_nothing_whatever_the_pictures_take() {
        let (frames, passes) = frames(0);
        let cost = cost_of(&frames, &passes);
        assert!(cost.met >= 194, "{cost:?}");
        let (gain, chance) = (cost.gain_us.unwrap(), cost.control_us.unwrap());
        assert!(gain.abs() <= 2.0 * chance, "{cost:?}");
        // Frames that are replaced lower a p95 wherever they are.
        let (_, alone) = gain_us(&frames, |frame| frame.from.0.is_multiple_of(31));
        assert!(alone.is_some_and(|us| us > 100.0), "{alone:?}");
    }

    #[test]
    fn a_pass_that_holds_frames_up_is_seen_in_p95() {
        let (frames, passes) = frames(20_000);
        let cost = cost_of(&frames, &passes);
        let (gain, chance) = (cost.gain_us.unwrap(), cost.control_us.unwrap());
        assert!(gain > 500.0 && gain > 2.0 * chance, "{cost:?}");
        // Nothing to compare with is no proof.
        assert_eq!(gain_us(&frames, |_| true), (0, None));
        assert_eq!(cost_of(&frames, &[]).gain_us, None);
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
