//! Why results cannot be compared, pooled or exported.

use std::path::PathBuf;

use result::{OLDEST_READ, RUN_VERSION};

/// Reasons why results cannot be compared, pooled or exported; xrbench exits 3.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadInput {
    /// The folder does not exist.
    #[error(
        "there is no folder {}: give folders that `xrbench run --out DIR` wrote, as in results/before",
        path.display()
    )]
    NoFolder {
        /// The folder, as it was given.
        path: PathBuf,
    },
    /// The folder holds no result, or one that cannot be read.
    #[error("{} holds no result that can be read: {why}. Give a folder that `xrbench run --out DIR` wrote", path.display())]
    NoResult {
        /// The folder, as it was given.
        path: PathBuf,
        /// The error of reading the result.
        why: String,
    },
    /// Another version of xrbench wrote the result.
    #[error(
        "{} has schema_version {version}, and this xrbench reads {OLDEST_READ} to {RUN_VERSION}: use the xrbench that wrote it, or measure again",
        path.display()
    )]
    Schema {
        /// The folder, as it was given.
        path: PathBuf,
        /// The `schema_version` of the result.
        version: u64,
    },
    /// The run was stopped before its end.
    #[error(
        "{} is a run that was not finished ({state}): finish it with `xrbench run FILE --out {} --resume`, or take what there is with --partial",
        path.display(), path.display()
    )]
    Unfinished {
        /// The folder, as it was given.
        path: PathBuf,
        /// The state of the run, in words.
        state: &'static str,
    },
    /// A file of a repetition is gone, or frames are missing from one that had them.
    #[error("{} is damaged: {why}. Copy the result again, or measure again", path.display())]
    Damaged {
        /// The folder, as it was given.
        path: PathBuf,
        /// The damaged file and what it lacks.
        why: String,
    },
    /// The two results share no scenario.
    #[error(
        "no scenario is in both results: {a} has {of_a}, {b} has {of_b}. Scenarios are matched by name: run the same scenario file twice"
    )]
    NothingInCommon {
        /// The folder of the earlier result.
        a: String,
        /// The scenarios of the earlier result.
        of_a: String,
        /// The folder of the later result.
        b: String,
        /// The scenarios of the later result.
        of_b: String,
    },
    /// One result was given more than once where each is to count once.
    #[error("{} was given twice, and each of its frames would be there twice: give every result once", path.display())]
    Twice {
        /// The folder, as it was given.
        path: PathBuf,
    },
}
