//! Tests of: several runs together.

use super::*;
use crate::summary::tests::{add_floor, several};

/// Three hours of a machine: in the second one everything is 0.9 ms slower, and what s2 takes more than s1 is 400, 500 and 480 us.
fn hours() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let hours = [(0, 400), (900, 500), (150, 480)];
    let paths = hours.into_iter().enumerate().map(|(hour, (slower, more))| {
        let root = dir.path().join(format!("hour-{hour}"));
        let scenarios = [("s1", "udp", slower), ("s2", "udp", slower + more)];
        let folder = several(&root, &scenarios);
        add_floor(&folder, slower);
        root
    });
    let paths = paths.collect();
    (dir, paths)
}

#[test]
fn hours_of_a_machine_say_where_the_next_one_is() {
    let (_dir, paths) = hours();
    let of = pool(&paths, false).expect("three results");
    assert_eq!(of.runs.len(), 3);
    let names: Vec<_> = of.scenarios.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["floor", "s1", "s2"]);
    let [pair] = &of.differences[..] else {
        panic!("{:?}", of.differences);
    };
    let p50 = &pair.p50_us;
    assert_eq!(
        (pair.a.as_str(), pair.b.as_str(), p50.runs),
        ("s1", "s2", 3)
    );
    let near = |value: f64, expected: f64| (value - expected).abs() < 12.0;
    let each: Vec<f64> = p50.each.iter().copied().flatten().collect();
    assert!(
        near(each[0], 400.0) && near(each[1], 500.0) && near(each[2], 480.0),
        "{each:?}"
    );
    assert!(
        (400.0..500.0).contains(&p50.mean) && p50.between > 30.0,
        "{p50:?}"
    );
    let ([low, high], [least, most]) = (p50.ci, p50.prediction);
    assert!(
        least < low && low < p50.mean && p50.mean < high && high < most,
        "{p50:?}"
    );
    // What hours do to a p50 is out of a difference within each.
    let s1 = &of.scenarios[1];
    let wide = |of: &Pooled| of.prediction[1] - of.prediction[0];
    assert!(wide(&s1.p50_us) > 4.0 * wide(p50), "{s1:?}");
    let gap = s1.gap_us.as_ref().expect("floors");
    assert_eq!(gap.runs, 3);
    let ratio = pair.ratio.as_ref().expect("times");
    assert!(
        (1.0..1.3).contains(&ratio.mean) && ratio.between >= 1.0,
        "{ratio:?}"
    );
    assert!(s1.floor_ratio.as_ref().is_some_and(|of| of.mean > 1.0));
    let json = serde_json::to_value(&of).expect("JSON");
    assert_eq!(
        json["differences"][0]["p50_us"]["each"]
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

#[test]
fn a_pool_is_shown_as_tables() {
    let (dir, paths) = hours();
    let of = pool(&paths, false).expect("three results");
    let text = show::terminal(&of, Some(160));
    let text = text.replace(&dir.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_pool_is_refused() {
    let (dir, paths) = hours();
    let other = dir.path().join("other");
    several(&other, &[("s9", "udp", 0)]);
    let error = pool(&[paths[0].clone(), other], false).expect_err("nothing in common");
    assert!(
        error.is::<BadInput>() && error.to_string().contains("s9"),
        "{error}"
    );
    let none = pool(&[paths[0].clone(), dir.path().join("none")], false);
    assert!(none.expect_err("no folder").is::<BadInput>());
}

/// What is not alike is said, and pooled all the same.
#[test]
fn unlike_machines_are_noted() {
    let (_dir, paths) = hours();
    let folder = result::RunFolder::new(&paths[2]);
    let mut info = folder.info().expect("run.json");
    info.machine.kernel = "another".into();
    info.versions
        .insert("x264enc".into(), "plugin 1.24.0".into());
    result::write_json(&folder.run_json(), &info).expect("written");
    let folder = result::RunFolder::new(&paths[0]);
    let mut first = folder.info().expect("run.json");
    first
        .versions
        .insert("x264enc".into(), "plugin 1.22.0".into());
    result::write_json(&folder.run_json(), &first).expect("written");
    let of = pool(&paths, false).expect("three results");
    for words in ["different machines", "other versions: x264enc"] {
        assert!(
            of.notes.iter().any(|note| note.contains(words)),
            "{:?}",
            of.notes
        );
    }
}
