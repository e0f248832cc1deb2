//! JUnit XML: a test case for each scenario.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::summary::{Finding, ScenarioSummary, Summary};
use result::write_atomic;

/// A test case: a scenario and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The name of the scenario.
    pub name: String,
    /// The measured time in seconds.
    pub seconds: f64,
    pub outcome: Outcome,
    /// The text beside the name, for readers.
    pub output: String,
}

/// The outcome of a test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The scenario is as it should be.
    Passed,
    /// The scenario was measured, and is not good enough.
    Failed {
        /// The kind of fault, in a word or two.
        kind: &'static str,
        /// The fault in sentences.
        why: String,
    },
    /// The scenario was not measured as planned, so that nobody can judge.
    Error {
        /// The kind of fault, in a word or two.
        kind: &'static str,
        /// The fault in sentences.
        why: String,
    },
}

impl From<Option<Finding>> for Outcome {
    fn from(finding: Option<Finding>) -> Self {
        let Some(finding) = finding else {
            return Self::Passed;
        };
        let (kind, why) = (finding.kind.as_str(), finding.text);
        if finding.kind.is_unjudged() {
            Self::Error { kind, why }
        } else {
            Self::Failed { kind, why }
        }
    }
}

/// Writes the cases of the suite `name` to `path`.
pub fn write(path: &Path, name: &str, cases: &[Case]) -> anyhow::Result<()> {
    let mut suite = TestSuite::new(name);
    for case in cases {
        let not = |as_what, kind: &str, why: &str| {
            let mut status = TestCaseStatus::non_success(as_what);
            status.set_type(kind).set_message(why);
            status
        };
        let status = match &case.outcome {
            Outcome::Passed => TestCaseStatus::success(),
            Outcome::Failed { kind, why } => not(NonSuccessKind::Failure, kind, why),
            Outcome::Error { kind, why } => not(NonSuccessKind::Error, kind, why),
        };
        let mut test = TestCase::new(case.name.as_str(), status);
        test.set_classname(name)
            .set_time(Duration::try_from_secs_f64(case.seconds).unwrap_or_default())
            .set_system_out(case.output.as_str());
        suite.add_test_case(test);
    }
    let mut report = Report::new(name);
    report.add_test_suite(suite);
    let xml = report
        .to_string()
        .context("cannot put the cases into XML")?;
    write_atomic(path, xml.as_bytes())
}

/// The cases of a result: each scenario and each floor that was planned.
pub fn cases(summary: &Summary) -> Vec<Case> {
    let scenarios = summary.scenarios.iter().map(|one| Case {
        name: one.name.clone(),
        seconds: one.measured_s,
        outcome: one.finding().into(),
        output: output(one),
    });
    let floors = summary.floors.iter().map(|one| Case {
        name: one.name.clone(),
        seconds: 0.0,
        outcome: one.finding().into(),
        output: one.notes.iter().map(|note| note.text.clone()).collect(),
    });
    scenarios.chain(floors).collect()
}

fn output(one: &ScenarioSummary) -> String {
    let runs = one.runs;
    let repetitions = format!(
        "repetitions: {} planned, {} completed with frames",
        runs.planned, runs.whole
    );
    let mut lines = vec![
        repetitions,
        format!(
            "frames: {} shown, {} lost of {} scheduled, {} unread, {} damaged",
            one.frames.shown,
            one.frames.lost,
            one.frames.scheduled,
            one.frames.unread,
            one.frames.damaged
        ),
    ];
    if let Some(latency) = &one.latency_us {
        let of = latency.figures;
        lines.push(format!(
            "latency in us: p50 {}, p90 {}, p99 {}, max {}",
            of.p50,
            of.p90,
            of.p99.map_or_else(|| "-".to_owned(), |us| us.to_string()),
            of.max
        ));
    }
    if let Some(freezes) = &one.freezes {
        lines.push(format!(
            "freezes: {}, the longest {} us",
            freezes.count, freezes.longest_us
        ));
    }
    lines.extend(one.notes.iter().map(|note| note.text.clone()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{Note, NoteKind, Runs, build, load, tests::result};

    fn summary() -> (tempfile::TempDir, Summary) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = result(dir.path());
        let summary = build(&load(&folder).expect("a result"));
        (dir, summary)
    }

    fn kinds(summary: &Summary) -> Vec<Option<(char, &'static str)>> {
        let kind = |case: Case| match case.outcome {
            Outcome::Passed => None,
            Outcome::Failed { kind, .. } => Some(('F', kind)),
            Outcome::Error { kind, .. } => Some(('E', kind)),
        };
        cases(summary).into_iter().map(kind).collect()
    }

    #[test]
    fn a_scenario_is_a_case_that_fails_for_a_reason() {
        let (dir, mut summary) = summary();
        assert_eq!(kinds(&summary), [None, None, None]);
        let undisturbed = summary.scenarios[0].undisturbed.as_mut().expect("watched");
        undisturbed.frames.lost = 2;
        summary.scenarios[1].overloaded = true;
        assert_eq!(
            kinds(&summary)[..2],
            [Some(('F', "lost")), Some(('F', "overloaded"))]
        );
        summary.scenarios[1].latency_us = None;
        assert_eq!(kinds(&summary)[1], Some(('E', "no samples")));

        let path = dir.path().join("junit.xml");
        let odd = Note::new(NoteKind::Server, "a < b & \u{1b}[1mc");
        summary.scenarios[0].notes.push(odd);
        write(&path, "small", &cases(&summary)).expect("written");
        let text = std::fs::read_to_string(&path).expect("there");
        for part in [
            r#"<testsuite name="small" tests="3" skipped="0" errors="1" failures="1""#,
            r#"<testcase name="ours-udp-360p25" classname="small" time="10.000">"#,
            r#"<failure message="2 of 225 scheduled frames were lost on undisturbed seconds: 0.89 %"#,
            r#"type="no samples""#,
            "a &lt; b &amp; ",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "XML has no such character");
    }

    #[test]
    fn what_was_planned_and_not_measured_is_an_error() {
        let (_dir, mut summary) = summary();
        summary.scenarios[0].runs = Runs {
            planned: 12,
            begun: 12,
            completed: 9,
            whole: 9,
        };
        assert_eq!(kinds(&summary)[0], Some(('E', "incomplete")));
        summary.scenarios[0].runs.begun = 0;
        assert_eq!(kinds(&summary)[0], Some(('E', "not begun")));
        assert!(summary.check().is_err());
        summary.floors[0].runs.whole = 2;
        assert_eq!(kinds(&summary)[2], Some(('E', "incomplete")));
    }

    #[test]
    fn disturbed_seconds_alone_are_inconclusive() {
        let (_dir, mut summary) = summary();
        let one = &mut summary.scenarios[0];
        let undisturbed = one.undisturbed.as_mut().expect("watched");
        (undisturbed.frames.scheduled, undisturbed.frames.lost) = (0, 0);
        assert_eq!(kinds(&summary)[0], Some(('E', "inconclusive")));
        summary.scenarios[0].frames.lost = 125;
        assert_eq!(kinds(&summary)[0], Some(('E', "inconclusive")));
    }

    #[test]
    fn frames_of_which_nobody_knows_are_no_success() {
        let (_dir, mut summary) = summary();
        let undisturbed = summary.scenarios[0].undisturbed.as_mut().expect("watched");
        undisturbed.frames.unreported = 1;
        assert_eq!(kinds(&summary)[0], None, "1 of 225 is 0.44 %");
        let undisturbed = summary.scenarios[0].undisturbed.as_mut().expect("watched");
        undisturbed.frames.unreported = 2;
        assert_eq!(kinds(&summary)[0], Some(('E', "unreported")));
        assert!(summary.check().is_ok(), "all that was planned was measured");
    }

    #[test]
    fn a_loss_up_to_the_bound_is_none() {
        let (_dir, mut summary) = summary();
        let undisturbed = summary.scenarios[0].undisturbed.as_mut().expect("watched");
        undisturbed.frames.lost = 1;
        assert_eq!(kinds(&summary)[0], None, "1 of 225 is 0.44 %");
    }
}
