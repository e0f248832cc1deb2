//! The version of the files that a run writes, and what files of earlier versions do not say.

use std::collections::BTreeSet;

use serde_json::Value;

/// The version of what a run writes: `run.json`, `meta.json`, `frames.csv` and the other tables of a repetition. It rises when a key, a
/// column or a word of them comes, goes, or changes its meaning. `summary.json` is made from them, and has a version of its own.
pub const RUN_VERSION: u32 = 2;

/// The oldest version that is read.
pub const OLDEST_READ: u32 = 1;

/// What files of an earlier version may not say: the last version that may lack it, the key of `meta.json` that tells whether it does,
/// and how its figures are to be read without.
const UNSAID: [(u32, &str, &str); 5] = [
    (
        1,
        "content",
        "torn pictures count as shown, and nobody compared the clocks of services",
    ),
    (
        1,
        "reports_skipped",
        "frames whose reports never came count as lost",
    ),
    (
        1,
        "reports_implausible",
        "frames whose reports told impossible times count as lost",
    ),
    (
        1,
        "client_behind",
        "whether the client could keep up with the stream is unknown",
    ),
    (
        1,
        "source_unread",
        "whether the renderer could read the whole film is unknown",
    ),
];

/// Whether files of this version are read.
pub fn is_read(version: u64) -> bool {
    (u64::from(OLDEST_READ)..=u64::from(RUN_VERSION)).contains(&version)
}

/// What a `meta.json` of this version does not say, as places in a list of such things.
pub(super) fn unsaid(version: u32, meta: &Value) -> impl Iterator<Item = usize> {
    let all = UNSAID.iter().enumerate();
    all.filter(move |(_, (last, key, _))| version <= *last && meta.get(key).is_none())
        .map(|(place, _)| place)
}

/// How the figures of a result of this version are to be read, whose files do not say these; none where they say all.
pub(super) fn told(version: u32, unsaid: &BTreeSet<usize>) -> Option<String> {
    let told = unsaid.iter().map(|place| UNSAID[*place].2);
    let told = told.collect::<Vec<_>>().join("; ");
    (!told.is_empty()).then(|| {
        format!(
            "its files are of version {version}, and this xrbench writes {RUN_VERSION}: {told}. Measure again to have all of it, or show it with \
             the xrbench that wrote it"
        )
    })
}
