//! What a run writes has a version: it rises with any change of what its readers must know.

use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform as _},
};
use serde::Serialize;
use timeline::frames_csv::{COLUMNS, Outcome, Phase};

use super::{NoteKind, build, load, tests::several};
use crate::{
    compare::{Options, Tolerance, compare},
    pool::pool,
};
use ::result::{
    RUN_VERSION, RepetitionMeta, RunInfo, read_json,
    rows::{self, EventRow, HostRow, OcrRow, ResourceRow},
    write_json,
};

/// The version, and the digest of the shape of what it writes.
const PINNED: (u32, &str) = (2, "d49613751806a46b");

/// Every key, column and word of a run's files, without what is said of them.
fn shape() -> String {
    fn schema<T: JsonSchema>() -> String {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let mut schema = settings.into_generator().into_root_schema_for::<T>();
        RecursiveTransform(|of: &mut Schema| {
            of.remove("description");
            of.remove("title");
        })
        .transform(&mut schema);
        serde_json::to_string(&schema).expect("a schema is JSON")
    }
    fn columns<T: Serialize + Default>() -> String {
        rows::columns::<T>().join(",")
    }
    let outcomes = [
        Outcome::Shown,
        Outcome::Unread,
        Outcome::Damaged,
        Outcome::Duplicate,
        Outcome::Lost,
    ];
    let phases = [Phase::Warmup, Phase::Measured];
    [
        schema::<RunInfo>(),
        schema::<RepetitionMeta>(),
        COLUMNS.join(","),
        outcomes.map(Outcome::as_str).join(","),
        phases.map(Phase::as_str).join(","),
        columns::<EventRow>(),
        columns::<HostRow>(),
        columns::<OcrRow>(),
        columns::<ResourceRow>(),
    ]
    .join("\n")
}

/// FNV-1a of 64 bits: the same on every machine and with every compiler.
fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn the_version_rises_with_what_a_run_writes() {
    let shape = shape();
    assert_eq!(
        (RUN_VERSION, digest(&shape).as_str()),
        PINNED,
        "a key, a column or a word of a run's files came, went or changed. Raise RUN_VERSION in measure/result/src/version.rs, say there \
         in UNSAID what files of the version before do not tell, and in docs/scenarios.md what is new; then pin the new version with its \
         digest here. Only a change that no released version has written may be pinned under the same version"
    );
    // And a change of any part is one.
    assert_ne!(
        digest(&shape),
        digest(&shape.replace("reports_skipped", "skipped"))
    );
    assert_ne!(digest(&shape), digest(&shape.replace("damaged", "torn")));
    assert!(
        !shape.contains("The name of the scenario"),
        "wording is no shape"
    );
}

/// Files of an earlier version are read, and what they do not say is said.
#[test]
fn figures_of_an_earlier_version_say_how_they_are_to_be_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    several(&a, &[("s1", "udp", 0), ("s2", "udp", 0)]);
    let folder = several(&b, &[("s1", "udp", 0), ("s2", "udp", 0)]);
    let mut info = folder.info().expect("run.json");
    info.schema_version = RUN_VERSION - 1;
    write_json(&folder.run_json(), &info).expect("written");
    let notes = || {
        let summary = build(&load(&folder).expect("a result"));
        let of = summary.scenarios.into_iter().map(|one| {
            let notes = one.notes.into_iter();
            notes
                .filter(|note| note.kind == NoteKind::Version)
                .collect::<Vec<_>>()
        });
        of.collect::<Vec<_>>()
    };
    // Of today's meaning, whatever their number.
    assert!(notes().iter().all(Vec::is_empty));

    let path = folder.repetition("s1", 3).meta_json();
    let mut meta: serde_json::Value = read_json(&path).expect("JSON");
    meta.as_object_mut()
        .expect("keys")
        .remove("reports_skipped");
    write_json(&path, &meta).expect("written");
    let of = notes();
    assert_eq!(of[0], of[1], "it is of the whole result");
    let [note] = &of[0][..] else {
        panic!("{of:?}");
    };
    for words in [
        "are of version 1",
        "writes 2",
        "never came count as lost. Measure again",
    ] {
        assert!(note.text.contains(words), "{}", note.text);
    }
    let options = Options {
        tolerance: Tolerance::Percent(5.0),
        partial: false,
    };
    let compared = compare(&a, &b, options).expect("two results");
    let said = format!("B: {}", note.text);
    assert!(compared.notes.contains(&said), "{:?}", compared.notes);
    let pooled = pool(&[a, b.clone()], false).expect("two results");
    let said = format!("{}: {}", b.display(), note.text);
    assert!(pooled.notes.contains(&said), "{:?}", pooled.notes);

    // Of a version that is known, nothing may be missing.
    info.schema_version = RUN_VERSION;
    write_json(&folder.run_json(), &info).expect("written");
    assert!(notes().iter().all(Vec::is_empty));
}
