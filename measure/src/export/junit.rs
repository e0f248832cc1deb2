//! JUnit XML: a test case for each scenario.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::summary::{FrameCounts, ScenarioSummary, Summary};
use result::write_atomic;

/// A scenario fails when it lost more than this share of its scheduled frames, on undisturbed seconds where the machine was
/// watched.
pub const MAX_LOST_SHARE: f64 = 0.005;

/// One test case.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The scenario.
    pub name: String,
    /// How long it was measured, in seconds.
    pub seconds: f64,
    /// Why it failed, a short word and sentences; none where it did not.
    pub failure: Option<(&'static str, String)>,
    /// What a reader wants to see beside the name.
    pub output: String,
}

/// Writes the cases of the suite `name` to `path`.
pub fn write(path: &Path, name: &str, cases: &[Case]) -> anyhow::Result<()> {
    let mut suite = TestSuite::new(name);
    for case in cases {
        let status = match &case.failure {
            None => TestCaseStatus::success(),
            Some((kind, why)) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_type(*kind).set_message(why.as_str());
                status
            }
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

/// The cases of a result.
pub fn cases(summary: &Summary) -> Vec<Case> {
    summary
        .scenarios
        .iter()
        .map(|one| Case {
            name: one.name.clone(),
            seconds: one.measured_s,
            failure: failure(one),
            output: output(one),
        })
        .collect()
}

fn failure(one: &ScenarioSummary) -> Option<(&'static str, String)> {
    if one.latency_us.is_none() {
        let why = "no frame was measured; the logs are under NAME/run-K/logs/ of the result";
        return Some(("no samples", why.into()));
    }
    let (frames, where_from) = match &one.undisturbed {
        Some(quiet) => (&quiet.frames, " on undisturbed seconds"),
        None => (&one.frames, ""),
    };
    if let Some(share) = lost_share(frames).filter(|share| *share > MAX_LOST_SHARE) {
        return Some((
            "lost",
            format!(
                "{} of {} scheduled frames were lost{where_from}: {:.2} %, and at most {:.1} % may be",
                frames.lost,
                frames.scheduled,
                share * 100.0,
                MAX_LOST_SHARE * 100.0
            ),
        ));
    }
    one.overloaded.then(|| {
        let why = "the machine was too slow for the reference: its latency grows with the length of the run";
        ("overloaded", why.into())
    })
}

fn lost_share(frames: &FrameCounts) -> Option<f64> {
    (frames.scheduled > 0).then(|| frames.lost as f64 / frames.scheduled as f64)
}

fn output(one: &ScenarioSummary) -> String {
    let mut lines = vec![format!(
        "frames: {} shown, {} lost of {} scheduled, {} unread",
        one.frames.shown, one.frames.lost, one.frames.scheduled, one.frames.unread
    )];
    if let Some(latency) = &one.latency_us {
        let of = latency.figures;
        lines.push(format!(
            "latency in us: p50 {}, p90 {}, p99 {}, max {}",
            of.p50, of.p90, of.p99, of.max
        ));
    }
    if let Some(freezes) = &one.freezes {
        lines.push(format!(
            "freezes: {}, the longest {} us",
            freezes.count, freezes.longest_us
        ));
    }
    lines.extend(one.notes.iter().cloned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{build, load, tests::result};

    fn summary() -> (tempfile::TempDir, Summary) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = result(dir.path());
        let summary = build(&load(&folder).expect("a result"));
        (dir, summary)
    }

    #[test]
    fn a_scenario_is_a_case_that_fails_for_a_reason() {
        let (dir, mut summary) = summary();
        let of = |summary: &Summary| -> Vec<_> {
            let kind = |case: Case| case.failure.map(|(kind, _)| kind);
            cases(summary).into_iter().map(kind).collect()
        };
        assert_eq!(of(&summary), [None, None]);
        let undisturbed = summary.scenarios[0].undisturbed.as_mut().expect("watched");
        undisturbed.frames.lost = 2;
        summary.scenarios[1].overloaded = true;
        assert_eq!(of(&summary), [Some("lost"), Some("overloaded")]);
        summary.scenarios[1].latency_us = None;
        assert_eq!(of(&summary)[1], Some("no samples"));

        let path = dir.path().join("junit.xml");
        summary.scenarios[0].notes.push("a < b & \u{1b}[1mc".into());
        write(&path, "small", &cases(&summary)).expect("written");
        let text = std::fs::read_to_string(&path).expect("there");
        for part in [
            r#"<testsuite name="small" tests="2" skipped="0" errors="0" failures="2""#,
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
    fn a_loss_up_to_the_bound_is_none() {
        let (_dir, mut summary) = summary();
        let undisturbed = summary.scenarios[0].undisturbed.as_mut().expect("watched");
        undisturbed.frames.lost = 1;
        assert_eq!(cases(&summary)[0].failure, None, "1 of 225 is 0.44 %");
    }
}
