//! The seconds of a collection or a run, and the sums so far. Pure.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use timeline::frames_csv::FrameRow;
use timeline::hist::LatencyHistogram;
use timeline::{Stage, UnixMicros};

/// Seconds that are kept.
const KEPT: usize = 600;

/// One second.
#[derive(Clone, Debug, Default, Serialize)]
struct Second {
    /// When it ended, microseconds since the Unix epoch.
    to_us: UnixMicros,
    /// Frames whose way became known, by outcome.
    frames: BTreeMap<&'static str, u64>,
    latency_us: Option<Spread>,
    /// Medians in microseconds.
    stages_us: BTreeMap<&'static str, u64>,
}

/// A distribution in three figures, microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    p50: u64,
    p99: u64,
    max: u64,
}

/// What a process used in the last second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Used {
    /// The role of the process.
    pub role: String,
    /// Percent of one core.
    pub cpu_percent: f64,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// Every frame of a scenario so far, or of a collection that knows no scenarios.
#[derive(Debug, Default)]
struct Sum {
    scenario: String,
    frames: BTreeMap<&'static str, u64>,
    latency: LatencyHistogram,
}

/// The totals of a scenario, a [`Sum`], as the page is told of them.
#[derive(Debug, Serialize)]
struct ScenarioTotals<'a> {
    scenario: &'a str,
    frames: &'a BTreeMap<&'static str, u64>,
    latency_us: Option<Spread>,
}

/// A run as the page is told of it.
#[derive(Debug, Serialize)]
struct Run<'a> {
    /// What is going on.
    now: &'a str,
    /// How it ended; none while it goes on.
    ended: Option<&'a str>,
    scenarios: Vec<ScenarioTotals<'a>>,
}

/// A message to the page: the seconds that it does not have, and the rest as it is.
#[derive(Debug, Serialize)]
struct News<'a> {
    seconds: &'a [Second],
    whole: ScenarioTotals<'a>,
    run: Option<Run<'a>>,
    used: &'a [Used],
}

/// The seconds of a collection, or of a run.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    kept: VecDeque<Second>,
    /// The second that goes on.
    frames: BTreeMap<&'static str, u64>,
    latency: LatencyHistogram,
    stages: BTreeMap<&'static str, LatencyHistogram>,
    /// By scenario, in the order in which they came.
    sums: Vec<Sum>,
    /// The one that goes on.
    current: usize,
    /// What is going on, in a run.
    now: Option<String>,
    ended: Option<String>,
    used: Vec<Used>,
}

impl Seconds {
    /// Takes a frame whose way is known.
    pub(super) fn row(&mut self, row: &FrameRow) {
        if self.sums.is_empty() {
            self.sums.push(Sum::default());
        }
        let sum = &mut self.sums[self.current];
        *self.frames.entry(row.outcome.as_str()).or_default() += 1;
        *sum.frames.entry(row.outcome.as_str()).or_default() += 1;
        let Some(latency_us) = row.latency_us() else {
            return;
        };
        self.latency.record(latency_us);
        sum.latency.record(latency_us);
        for stage in Stage::ALL {
            if let Some(us) = row.stage_us(stage) {
                self.stages.entry(stage.as_str()).or_default().record(us);
            }
        }
    }

    /// A repetition of a scenario begins; `now` says which.
    pub(super) fn begin(&mut self, scenario: &str, now: String) {
        let known = self.sums.iter().position(|sum| sum.scenario == scenario);
        self.current = known.unwrap_or(self.sums.len());
        if known.is_none() {
            self.sums.push(Sum {
                scenario: scenario.to_owned(),
                ..Sum::default()
            });
        }
        self.now = Some(now);
        self.used.clear();
    }

    /// The run is over.
    pub(super) fn end_run(&mut self, how: String) {
        self.ended = Some(how);
        self.used.clear();
    }

    /// Takes what processes used in the last second; of others, what is known stays.
    pub(super) fn used(&mut self, used: Vec<Used>) {
        for one in used {
            match self.used.iter_mut().find(|known| known.role == one.role) {
                Some(known) => *known = one,
                None => self.used.push(one),
            }
        }
    }

    /// Ends the second at `now`; it and the rest as JSON.
    pub(super) fn end(&mut self, now: UnixMicros) -> String {
        let stages = std::mem::take(&mut self.stages);
        let second = Second {
            to_us: now,
            frames: std::mem::take(&mut self.frames),
            latency_us: spread(&std::mem::take(&mut self.latency)),
            stages_us: stages
                .iter()
                .filter_map(|(stage, of)| Some((*stage, of.quantile_us(0.5)?)))
                .collect(),
        };
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let text = json(&self.news(std::slice::from_ref(&second)));
        self.kept.push_back(second);
        text
    }

    /// All that is kept, as JSON.
    pub(super) fn all(&mut self) -> String {
        self.kept.make_contiguous();
        json(&self.news(self.kept.as_slices().0))
    }

    fn news<'a>(&'a self, seconds: &'a [Second]) -> News<'a> {
        News {
            seconds,
            whole: self.sums.get(self.current).map_or(NONE, Sum::told),
            run: self.now.as_deref().map(|now| Run {
                now,
                ended: self.ended.as_deref(),
                scenarios: self.sums.iter().map(Sum::told).collect(),
            }),
            used: &self.used,
        }
    }
}

impl Sum {
    fn told(&self) -> ScenarioTotals<'_> {
        ScenarioTotals {
            scenario: &self.scenario,
            frames: &self.frames,
            latency_us: spread(&self.latency),
        }
    }
}

/// The frames of somebody of whom none was heard.
static NO_FRAMES: BTreeMap<&str, u64> = BTreeMap::new();

const NONE: ScenarioTotals<'_> = ScenarioTotals {
    scenario: "",
    frames: &NO_FRAMES,
    latency_us: None,
};

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and fixed words are JSON")
}

fn spread(of: &LatencyHistogram) -> Option<Spread> {
    Some(Spread {
        p50: of.quantile_us(0.5)?,
        p99: of.quantile_us(0.99)?,
        max: of.quantile_us(1.0)?,
    })
}

#[cfg(test)]
mod tests {
    use timeline::frames_csv::Outcome;
    use timeline::{Point, RtpTimestamp};

    use super::*;

    fn shown(generated: u64, decoded: u64) -> FrameRow {
        let mut row = FrameRow::new(RtpTimestamp(0), Outcome::Shown);
        row.set(Point::Generated, UnixMicros(generated));
        row.set(Point::Received, UnixMicros(decoded - 300));
        row.set(Point::Decoded, UnixMicros(decoded));
        row
    }

    #[test]
    fn a_second_has_its_own_frames_and_the_whole_has_all() {
        let mut seconds = Seconds::default();
        seconds.row(&shown(0, 1_500));
        let first: serde_json::Value =
            serde_json::from_str(&seconds.end(UnixMicros(1))).expect("JSON");
        assert_eq!(first["seconds"][0]["latency_us"]["p50"], 1_500);
        assert_eq!(first["seconds"][0]["stages_us"]["decode"], 300);
        assert!(first["run"].is_null(), "a collection is no run");
        seconds.row(&shown(0, 1_900));
        seconds.row(&shown(0, 1_900));
        let second: serde_json::Value =
            serde_json::from_str(&seconds.end(UnixMicros(2))).expect("JSON");
        assert_eq!(second["seconds"][0]["frames"]["shown"], 2);
        assert_eq!(second["seconds"][0]["latency_us"]["p50"], 1_900);
        assert_eq!(second["whole"]["frames"]["shown"], 3);
        let all: serde_json::Value = serde_json::from_str(&seconds.all()).expect("JSON");
        assert_eq!(all["seconds"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn a_run_has_its_scenarios_apart() {
        let mut seconds = Seconds::default();
        let told = |seconds: &mut Seconds| -> serde_json::Value {
            serde_json::from_str(&seconds.end(UnixMicros(1))).expect("JSON")
        };
        seconds.begin("near", "1/3 near".to_owned());
        seconds.row(&shown(0, 1_500));
        seconds.begin("far", "2/3 far".to_owned());
        seconds.row(&shown(0, 1_900));
        seconds.used(vec![Used {
            role: "client".to_owned(),
            cpu_percent: 12.5,
            memory_bytes: Some(1 << 20),
        }]);
        let far = told(&mut seconds);
        assert_eq!(far["whole"]["latency_us"]["p50"], 1_900);
        assert_eq!(far["used"][0]["role"], "client");
        seconds.begin("near", "3/3 near".to_owned());
        seconds.row(&shown(0, 1_500));
        seconds.end_run("finished".to_owned());
        let near = told(&mut seconds);
        assert_eq!(near["whole"]["frames"]["shown"], 2);
        assert_eq!(near["run"]["now"], "3/3 near");
        assert_eq!(near["run"]["ended"], "finished");
        assert_eq!(near["run"]["scenarios"][1]["scenario"], "far");
        assert_eq!(near["used"], serde_json::json!([]));
    }

    #[test]
    fn what_is_kept_is_bounded_and_an_empty_second_has_no_latency() {
        let mut seconds = Seconds::default();
        for second in 0..2 * KEPT as u64 {
            seconds.end(UnixMicros(second));
        }
        let all: serde_json::Value = serde_json::from_str(&seconds.all()).expect("JSON");
        let kept = all["seconds"].as_array().expect("seconds");
        assert_eq!(kept.len(), KEPT);
        assert!(kept[0]["latency_us"].is_null());
    }
}
