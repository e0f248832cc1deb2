//! Why two results cannot be compared.

use std::path::PathBuf;

use result::RUN_VERSION;

/// What cannot be compared; xrbench exits 3.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadInput {
    /// There is no such folder.
    #[error(
        "there is no folder {}: give two folders that `xrbench run --out DIR` wrote, as in `xrbench compare results/before results/after`",
        path.display()
    )]
    NoFolder {
        /// As it was given.
        path: PathBuf,
    },
    /// It holds no result, or one that cannot be read.
    #[error("{} holds no result that can be read: {why}. Give a folder that `xrbench run --out DIR` wrote", path.display())]
    NoResult {
        /// As it was given.
        path: PathBuf,
        /// What was in the way.
        why: String,
    },
    /// Another version wrote it.
    #[error(
        "{} has schema_version {version}, and this xrbench reads {RUN_VERSION}: compare with the xrbench that wrote it, or measure again",
        path.display()
    )]
    Schema {
        /// As it was given.
        path: PathBuf,
        /// What its run.json says.
        version: u64,
    },
    /// It was stopped before its end.
    #[error(
        "{} is a run that was not finished ({state}): finish it with `xrbench run FILE --out {} --resume`, or compare what both have with --partial",
        path.display(), path.display()
    )]
    Unfinished {
        /// As it was given.
        path: PathBuf,
        /// How far it got.
        state: &'static str,
    },
    /// Frames are missing from a file that had them.
    #[error("{} is damaged: {why}. Copy the result again, or measure again", path.display())]
    Damaged {
        /// As it was given.
        path: PathBuf,
        /// Which file, and what is missing.
        why: String,
    },
    /// They share no scenario.
    #[error(
        "no scenario is in both results: {a} has {of_a}, {b} has {of_b}. Scenarios are matched by name: run the same scenario file twice"
    )]
    NothingInCommon {
        /// The first folder.
        a: String,
        /// Its scenarios.
        of_a: String,
        /// The second folder.
        b: String,
        /// Its scenarios.
        of_b: String,
    },
}
