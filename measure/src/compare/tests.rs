//! Tests of: compare.

use std::fs;

use super::*;
use crate::summary::tests::{result, several};

fn error(a: &Path, b: &Path) -> String {
    let error = compare(a, b, Tolerance::Percent(5.0)).expect_err("cannot be compared");
    assert!(error.is::<BadInput>(), "{error:?}");
    error.to_string()
}

/// Two results: the scenario `s1` with such a delay, microseconds, in the second.
fn two(delay_us: u64) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    several(&a, &[("s1", "udp", 0), ("gone", "udp", 0)]);
    several(&b, &[("new", "udp", 0), ("s1", "udp", delay_us)]);
    (dir, a, b)
}

#[test]
fn what_is_slower_beyond_the_tolerance_is_a_regression() {
    let (dir, a, b) = two(800);
    let is = |tolerance: Tolerance| {
        let comparison = compare(&a, &b, tolerance).expect("two results");
        (comparison.verdict, comparison.scenarios[0].why.clone())
    };
    let (verdict, why) = is(Tolerance::Percent(5.0));
    assert_eq!(
        (verdict, why.as_str()),
        (Verdict::Regression, "slower beyond the tolerance")
    );
    let (verdict, why) = is(Tolerance::Us(1_000.0));
    assert_eq!(
        (verdict, why.as_str()),
        (Verdict::Same, "slower, within the tolerance")
    );
    let comparison = compare(&b, &a, Tolerance::Percent(5.0)).expect("two results");
    assert_eq!(comparison.verdict, Verdict::Better);
    assert_eq!(
        (&comparison.only_in_a[..], &comparison.only_in_b[..]),
        (&["new".to_owned()][..], &["gone".to_owned()][..])
    );
    let one = &comparison.scenarios[0];
    let difference = one.p50_us.expect("four pairs");
    assert_eq!((one.pairs, one.basis), (4, Basis::Repetitions));
    assert!(
        (difference.difference + 800.0).abs() < 20.0,
        "{difference:?}"
    );
    let (p50_a, p50_b) = (
        one.p50_a_us.expect("samples"),
        one.p50_b_us.expect("samples"),
    );
    assert!((p50_b - p50_a - difference.difference).abs() < 0.1);
    drop(dir);
}

#[test]
fn a_result_is_as_good_as_itself() {
    let (_dir, a, _) = two(0);
    let comparison = compare(&a, &a, Tolerance::Percent(0.0)).expect("two results");
    assert_eq!(comparison.verdict, Verdict::Same);
    assert_eq!(comparison.scenarios.len(), 2);
    assert!(
        comparison
            .scenarios
            .iter()
            .all(|one| one.why == "not distinguishable")
    );
}

#[test]
fn losing_frames_or_all_of_them_is_a_regression() {
    let (_dir, a, b) = two(0);
    let folder = RunFolder::new(&b);
    for run in 1..=4 {
        let at = folder.repetition("s1", run).frames_csv();
        let text = fs::read_to_string(&at).expect("there");
        let kept: Vec<_> = text.lines().take(240 - run as usize).collect();
        fs::write(&at, kept.join("\n") + "\n").expect("written");
    }
    let is = || compare(&a, &b, Tolerance::Percent(5.0)).expect("two results");
    let lost = is();
    assert_eq!(lost.verdict, Verdict::Regression);
    assert!(
        lost.scenarios[0]
            .why
            .contains("% of the frames instead of 0.40 %"),
        "{}",
        lost.scenarios[0].why
    );
    for run in 1..=4 {
        let at = folder.repetition("s1", run).frames_csv();
        let text = fs::read_to_string(&at).expect("there");
        fs::write(
            &at,
            text.lines().next().expect("a header").to_owned() + "\n",
        )
        .expect("written");
    }
    let nothing = is();
    assert_eq!(nothing.scenarios[0].why, "no frame was measured in B");
    assert_eq!(
        nothing.cases()[0].failure.as_ref().map(|(kind, _)| *kind),
        Some("regression")
    );
}

#[test]
fn a_single_repetition_has_an_interval_from_its_seconds_and_says_so() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    result(&a);
    result(&b);
    let comparison = compare(&a, &b, Tolerance::Percent(5.0)).expect("two results");
    let ours = &comparison.scenarios[0];
    assert_eq!(
        (ours.name.as_str(), ours.basis),
        ("ours-udp-360p25", Basis::Seconds)
    );
    assert!(ours.p50_us.expect("samples").ci.is_some());
    assert_eq!(comparison.verdict, Verdict::Same);
    assert!(
        comparison
            .notes
            .iter()
            .any(|note| note.contains("a single repetition"))
    );
    assert!(
        comparison
            .scenarios
            .iter()
            .any(|one| one.name == "reference-360p25")
    );
}

#[test]
fn what_cannot_be_compared_says_why_and_what_to_do() {
    let (dir, a, _) = two(0);
    let none = error(&a, &dir.path().join("none"));
    assert!(
        none.contains("there is no folder") && none.contains("--out DIR"),
        "{none}"
    );
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("made");
    assert!(error(&empty, &a).contains("run.json"));
    fs::write(empty.join("run.json"), r#"{"schema_version": 7}"#).expect("written");
    let other = error(&a, &empty);
    assert!(
        other.contains("schema_version 7") && other.contains("measure again"),
        "{other}"
    );
    fs::write(empty.join("run.json"), "{").expect("written");
    assert!(error(&a, &empty).contains("no schema_version"));
    let c = dir.path().join("c");
    several(&c, &[("other", "udp", 0)]);
    let nothing = error(&a, &c);
    assert!(
        nothing.contains("s1, gone") && nothing.contains("has other"),
        "{nothing}"
    );
}

#[test]
fn the_table_and_the_page_say_the_same() {
    let (dir, a, b) = two(800);
    let comparison = compare(&a, &b, Tolerance::Percent(5.0)).expect("two results");
    let text = table::render(&comparison, Some(200));
    let path = dir.path().join("compare.html");
    write_page(&path, &comparison).expect("written");
    let page = fs::read_to_string(&path).expect("there");
    for part in [
        "slower beyond the tolerance",
        "+0.80",
        "s1",
        "gone",
        "two results are of two times",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
    assert!(text.contains("REGRESSION (tolerance 5%)"), "{text}");
    assert!(
        !page.contains("src=") && !page.contains("href="),
        "no network"
    );
}
