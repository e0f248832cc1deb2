//! How unsure a latency is in all, and of what parts, combined as the guide to the expression of uncertainty in measurement
//! (GUM, JCGM 100:2008) has it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClockFigures, LatencyUs, Note, NoteKind};
use result::{Calibration, ClockSource, RepetitionMeta};
use stats::RESOLUTION_US;

/// Of a normal distribution, 95 in 100 lie within this many standard deviations.
const Z_975: f64 = 1.959_963_985;

/// The factor from a combined standard uncertainty to an expanded one, which holds about 95 in 100.
const COVERAGE: f64 = 2.0;

/// By how much a latency may be wrong in all, microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UncertaintyUs {
    /// The uncertainty of the p50.
    pub p50: PartsUs,
    /// The uncertainty of the p99; null where there is no p99.
    pub p99: Option<PartsUs>,
}

/// An uncertainty and its parts, microseconds, each to be read as ± beside the figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartsUs {
    /// How far the 95 % interval within this run reaches from the figure, to its farther end (type A, by statistics). Null where there
    /// is no interval.
    #[schemars(range(min = 0))]
    pub sampling: Option<f64>,
    /// How far the clocks of generation and consumption may disagree, and what they are slewed by in such a time (type B, a bound). Null
    /// where nobody asked a clock, and where clocks are known to disagree.
    #[schemars(range(min = 0))]
    pub clocks: Option<f64>,
    /// The largest residual of the machine's calibration, or error of a known wait at the stamps, with its margin; and, of what the latency is longer than all calibrated ones, the
    /// slope's error (type B, a bound). It is of p50s, and taken for the p99 too. Null where nothing was calibrated, and for ffmpeg,
    /// whose stamps no calibration is of.
    #[schemars(range(min = 0))]
    pub instrument: Option<f64>,
    /// What the difference of two stamps in whole microseconds may be off by (type B, a bound).
    #[schemars(range(min = 0))]
    pub resolution: f64,
    /// All known parts together, expanded (k = 2, about 95 %): twice the root of the sum of the squared standard uncertainties, which are
    /// `sampling` / 1.96 and each bound / √3.
    #[schemars(range(min = 0))]
    pub combined: f64,
    /// Whether every part is known; otherwise the uncertainty is larger than `combined`.
    pub complete: bool,
    /// The parts that are unknown, and not in `combined`.
    pub missing: Vec<Part>,
}

/// A part of an uncertainty that may be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Part {
    /// What other repetitions would have shown.
    Sampling,
    /// What the clocks of generation and consumption disagree by.
    Clocks,
    /// What the instrument itself is wrong by.
    Instrument,
}

impl UncertaintyUs {
    /// Of the latency of repetitions with these records and clocks, by an instrument that was calibrated so.
    pub(super) fn of(
        latency: &LatencyUs,
        metas: &[&RepetitionMeta],
        clocks: ClockFigures,
        calibration: Option<&Calibration>,
    ) -> Self {
        let uncertain = clocks_us(metas, clocks);
        let parts = |us: i64, ci: Option<[i64; 2]>| {
            let slewed = us as f64 * clocks.slew_ppm / 1e6;
            PartsUs::of(
                ci.map(|[low, high]| (us - low).max(high - us) as f64),
                uncertain.map(|bound| bound + slewed.abs()),
                calibration.and_then(|one| one.error_us(us as f64)),
            )
        };
        Self {
            p50: parts(latency.figures.p50, latency.p50_ci),
            p99: latency.figures.p99.map(|us| parts(us, latency.p99_ci)),
        }
    }

    /// What is to be said where the uncertainty of the p50 lacks a part.
    pub(super) fn note(&self) -> Option<Note> {
        let why = |part: &Part| match part {
            Part::Sampling => "sampling (a single repetition)",
            Part::Clocks => "clocks (one was not asked, or they disagree)",
            Part::Instrument => "instrument (nothing has calibrated it)",
        };
        let missing: Vec<_> = self.p50.missing.iter().map(why).collect();
        (!self.p50.complete).then(|| {
            let text = format!(
                "the p50 is less sure than its ± says, which lacks what is unknown: {}",
                missing.join(", ")
            );
            Note::new(NoteKind::Uncertainty, text)
        })
    }
}

impl PartsUs {
    fn of(sampling: Option<f64>, clocks: Option<f64>, instrument: Option<f64>) -> Self {
        let bounds = [clocks, instrument, Some(RESOLUTION_US)];
        let rectangular = bounds
            .into_iter()
            .flatten()
            .map(|bound| bound / 3_f64.sqrt());
        let standard = sampling
            .map(|half| half / Z_975)
            .into_iter()
            .chain(rectangular);
        let variance: f64 = standard.map(|us| us * us).sum();
        let missing: Vec<_> = [
            (Part::Sampling, sampling),
            (Part::Clocks, clocks),
            (Part::Instrument, instrument),
        ]
        .into_iter()
        .filter_map(|(part, us)| us.is_none().then_some(part))
        .collect();
        let tenth = super::differences::tenth;
        Self {
            sampling,
            clocks: clocks.map(tenth),
            instrument: instrument.map(tenth),
            resolution: RESOLUTION_US,
            combined: tenth(COVERAGE * variance.sqrt()),
            complete: missing.is_empty(),
            missing,
        }
    }
}

/// How far the clocks of generation and consumption may disagree, the worst of all repetitions; none where nobody knows, or where they
/// are known to disagree by more than that.
fn clocks_us(metas: &[&RepetitionMeta], clocks: ClockFigures) -> Option<f64> {
    let mut sources = metas.iter().flat_map(|meta| meta.clocks.values());
    let unknown = sources.any(|clock| clock.source == ClockSource::Unknown);
    let believed = !unknown && clocks.negative == 0 && clocks.off_us == 0;
    let worst = metas.iter().map(|meta| meta.clock_uncertainty_us).max();
    worst.filter(|_| believed).map(|us| us as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{build, load, tests::result};
    use result::{ClockMeta, Fit, write_json};
    use std::collections::BTreeMap;
    use timeline::UnixMicros;

    fn calibration() -> Calibration {
        Calibration {
            at_us: UnixMicros(0),
            wan_backend: "netem".into(),
            folder: String::new(),
            programs: BTreeMap::new(),
            fit: Fit {
                slope: 1.001,
                slope_error: 0.002,
                slope_margin: 0.003,
                own_us: 10_000.0,
                worst_residual_us: 110.0,
                residual_margin_us: 60.0,
                steps: Vec::new(),
            },
            holds: Vec::new(),
        }
    }

    /// 200 / 1.96 = 102.04, 50 / √3 = 28.87, 170 / √3 = 98.15, 1 / √3 = 0.58: the squares sum to 20 879.7, twice the root of which is 289.0.
    #[test]
    fn parts_are_combined_as_standard_uncertainties() {
        let all = PartsUs::of(Some(200.0), Some(50.0), Some(170.0));
        assert!((all.combined - 289.0).abs() < 0.01, "{all:?}");
        assert!(all.complete && all.missing.is_empty(), "{all:?}");
        // Without sampling: 833.3 + 9633.3 + 0.3, and 204.6.
        let less = PartsUs::of(None, Some(50.0), Some(170.0));
        assert!((less.combined - 204.6).abs() < 0.01, "{less:?}");
        assert_eq!((less.complete, less.missing), (false, vec![Part::Sampling]));
        // The resolution alone: 2 / √3.
        let none = PartsUs::of(None, None, None);
        assert!((none.combined - 1.2).abs() < 0.01, "{none:?}");
        let missing = [Part::Sampling, Part::Clocks, Part::Instrument];
        assert_eq!(none.missing, missing);
    }

    #[test]
    fn a_clock_that_was_not_asked_or_disagrees_is_no_part_of_zero() {
        let asked = RepetitionMeta {
            clock_uncertainty_us: 50,
            ..RepetitionMeta::default()
        };
        let mut unknown = asked.clone();
        let of = ClockMeta {
            source: ClockSource::Unknown,
            uncertainty_us: None,
            ..ClockMeta::SHARED
        };
        unknown.clocks.insert("client".into(), of);
        let well = ClockFigures::default();
        let one = RepetitionMeta::default();
        assert_eq!(clocks_us(&[&one], well), Some(0.0), "one clock");
        assert_eq!(clocks_us(&[&one, &asked], well), Some(50.0));
        assert_eq!(clocks_us(&[&asked, &unknown], well), None);
        let off = ClockFigures {
            off_us: 5_000,
            ..well
        };
        assert_eq!(clocks_us(&[&asked], off), None);
        let negative = ClockFigures {
            negative: 1,
            ..well
        };
        assert_eq!(clocks_us(&[&asked], negative), None);
    }

    #[test]
    fn every_scenario_says_what_its_figures_lack() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = result(dir.path());
        let summary = || build(&load(&folder).expect("a result"));
        let page = || {
            crate::write(&folder).expect("written");
            std::fs::read_to_string(folder.report_html()).expect("a page")
        };
        let link = |text: &str| format!("<a class=\"sure\" href=\"#uncertainty\">{text}</a>");
        let of = |summary: &crate::summary::Summary, name: &str| {
            let one = summary.scenario(name).expect("there");
            let noted = one
                .notes
                .iter()
                .any(|note| note.kind == NoteKind::Uncertainty);
            (one.uncertainty_us.clone().expect("samples"), noted)
        };
        let both = [Part::Sampling, Part::Instrument];
        let (ours, noted) = of(&summary(), "ours-udp-360p25");
        assert_eq!((&ours.p50.missing[..], noted), (&both[..], true));
        assert_eq!(ours.p50.clocks, Some(0.0));
        let shown = page();
        assert!(shown.contains(&link("± unknown")), "{shown}");
        assert!(shown.contains("<caption>Uncertainty in microseconds</caption>"));
        let terminal = crate::terminal(&summary(), Some(160));
        let note = "  ours-udp-360p25, reference-360p25: the p50 is less sure than its ± says";
        assert_eq!(terminal.matches(note).count(), 1, "{terminal}");

        let mut info = folder.info().expect("run.json");
        info.calibration = Some(calibration());
        write_json(&folder.run_json(), &info).expect("run.json");
        let summary = summary();
        let (ours, _) = of(&summary, "ours-udp-360p25");
        assert_eq!(ours.p50.instrument, Some(170.0));
        assert_eq!(ours.p50.missing, [Part::Sampling]);
        assert!(ours.p99.is_some_and(|of| !of.complete), "249 pictures");
        let (reference, noted) = of(&summary, "reference-360p25");
        assert_eq!((&reference.p50.missing[..], noted), (&both[..], true));
        let shown = page();
        assert!(shown.contains(&link("± ≥ 0.20 ms")), "{shown}");
        // The floor has three rounds, which are alike: 2 x 170 / √3.
        let floor = summary.floors[0].uncertainty_us.as_ref().expect("samples");
        assert_eq!(floor.p50.sampling, Some(0.0));
        assert!(floor.p50.complete, "{floor:?}");
        assert!((floor.p50.combined - 196.3).abs() < 0.01, "{floor:?}");
    }
}
