//! What a reader must know before trusting a scenario's figures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A remark on a scenario's figures, with its kind: readers choose by the kind, people read the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// The subject of the remark.
    pub kind: NoteKind,
    /// The remark, without a full stop.
    pub text: String,
}

/// The subject of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A repetition failed, was not completed, or showed nothing.
    Incomplete,
    /// A file that says what became of frames is gone, or was cut off after the run: the result is damaged.
    Damage,
    /// A file of a repetition is missing, was cut off, or has lines that are no rows.
    Files,
    /// Strips were kept and not read yet, so that their frames are unknown.
    NotRead,
    /// The reference could not keep its own pace.
    Overloaded,
    /// The client could not keep the stream's pace.
    Behind,
    /// The wall clock stepped, or nobody knows how far a clock is from the collector's.
    Clock,
    /// A part of the uncertainty is unknown.
    Uncertainty,
    /// Frames are those of several clients.
    Clients,
    /// Crossings are missing, and stages with them.
    Trace,
    /// The transport is not the one that was asked for.
    Transport,
    /// Another server was in xr-streamer's place.
    Server,
    /// IP packets were larger than a link.
    PacketSize,
    /// Digits and blocks disagree, or nothing compared them.
    Ocr,
    /// The frames are of few distinct pictures.
    Content,
    /// The floor's figures are not to be believed, or are of other limits.
    Floor,
    /// The machine was disturbed by something else.
    Disturbed,
    /// Processor and memory figures are of certain processes only.
    Resources,
    /// The machine has fewer cores than the clusters are given.
    Oversubscribed,
    /// A limit held a cluster's processors back.
    Throttled,
    /// Datagrams found a full receive buffer, or were lost on the way.
    Buffers,
    /// Controllers or limits of control groups were not to be had.
    ControlGroups,
    /// Something that was done on purpose had no effect.
    Fault,
    /// The files are of an earlier version, which says less.
    Version,
}

impl Note {
    pub fn new(kind: NoteKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}
