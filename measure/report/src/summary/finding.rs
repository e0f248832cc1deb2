//! Whether a scenario was measured whole, and whether too much of it was lost: one rule for the terminal, the page, JUnit and
//! the exit code.

use std::collections::BTreeSet;

use super::load::damage;
use super::{FloorSummary, FrameCounts, Note, NoteKind, Runs, ScenarioSummary, Summary};

/// More lost frames than this share of the scheduled ones are a finding.
pub const MAX_LOST_SHARE: f64 = 0.005;

/// Why a scenario's figures are not those of a whole and good measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of fault.
    pub kind: FindingKind,
    /// The fault in words, with its figures.
    pub text: String,
}

/// The kinds of fault that a scenario may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// A file of a repetition is gone, or was cut off after the run.
    Damaged,
    /// No planned repetition was begun.
    NotBegun,
    /// Strips were kept and not read.
    NotRead,
    /// No frame was measured.
    NoSamples,
    /// Clocks disagree, so that no latency is one.
    Clocks,
    /// A planned repetition is missing, broke off, or showed nothing.
    Incomplete,
    /// Every second was disturbed.
    Inconclusive,
    /// Too many frames were lost.
    Lost,
    /// Of too many frames it is unknown whether they were shown.
    Unreported,
    /// Too many frames of ours were shown and could not be read.
    Unread,
    /// The machine was too slow for the reference.
    Overloaded,
}

impl FindingKind {
    /// The kind in a word or two, as JUnit has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged result",
            Self::NotBegun => "not begun",
            Self::NotRead => "not read",
            Self::NoSamples => "no samples",
            Self::Clocks => "clocks",
            Self::Incomplete => "incomplete",
            Self::Inconclusive => "inconclusive",
            Self::Lost => "lost",
            Self::Unreported => "unreported",
            Self::Unread => "unread",
            Self::Overloaded => "overloaded",
        }
    }

    /// Whether something that was planned was not measured, so that no figure can say how it did.
    pub const fn is_unmeasured(self) -> bool {
        matches!(
            self,
            Self::Damaged
                | Self::NotBegun
                | Self::NotRead
                | Self::NoSamples
                | Self::Clocks
                | Self::Incomplete
        )
    }

    /// Whether nobody can judge the scenario: something was not measured, everything was disturbed, or too much is unknown.
    pub const fn is_unjudged(self) -> bool {
        self.is_unmeasured() || matches!(self, Self::Inconclusive | Self::Unreported)
    }
}

impl Finding {
    fn new(kind: FindingKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// That files which were there once are not: what they said is unknown, and nobody failed to measure it.
    fn of_damage(notes: &[Note]) -> Option<Self> {
        damage(notes).map(|what| {
            let text = format!("the result is damaged: {what}. Copy it again, or measure again");
            Self::new(FindingKind::Damaged, text)
        })
    }

    /// What is wrong with the repetitions themselves.
    fn of_repetitions(of: Runs, has_samples: bool) -> Option<Self> {
        let Runs { planned, whole, .. } = of;
        if of.begun == 0 {
            let text = format!("none of {planned} planned repetitions was begun");
            return Some(Self::new(FindingKind::NotBegun, text));
        }
        if !has_samples {
            let text = "no frame was measured; the logs are under NAME/run-K/logs/ of the result";
            return Some(Self::new(FindingKind::NoSamples, text));
        }
        (whole < planned).then(|| {
            let text =
                format!("{whole} of {planned} planned repetitions were completed with frames");
            Self::new(FindingKind::Incomplete, text)
        })
    }
}

impl ScenarioSummary {
    /// The frames by which a loss is judged: those of undisturbed seconds, where there are any.
    pub fn judged_frames(&self) -> &FrameCounts {
        self.quiet_frames().unwrap_or(&self.frames)
    }

    fn quiet_frames(&self) -> Option<&FrameCounts> {
        let quiet = self.undisturbed.as_ref().map(|quiet| &quiet.frames);
        quiet.filter(|frames| frames.scheduled > 0)
    }

    /// The gravest thing that is wrong with it; none where it was measured whole and is good.
    pub fn finding(&self) -> Option<Finding> {
        if let Some(damaged) = Finding::of_damage(&self.notes) {
            return Some(damaged);
        }
        if self.latency_us.is_none()
            && let Some(note) = self.notes.iter().find(|one| one.kind == NoteKind::NotRead)
        {
            return Some(Finding::new(FindingKind::NotRead, note.text.clone()));
        }
        self.clocks()
            .or_else(|| Finding::of_repetitions(self.runs, self.latency_us.is_some()))
            .or_else(|| self.lost())
            .or_else(|| self.unreported())
            .or_else(|| self.unread())
            .or_else(|| self.disturbed())
            .or_else(|| {
                let text = "the machine was too slow for the reference: its latency grows with the length of the run";
                self.overloaded
                    .then(|| Finding::new(FindingKind::Overloaded, text))
            })
    }

    fn clocks(&self) -> Option<Finding> {
        let text = if self.clocks.negative > 0 {
            let negative = self.clocks.negative;
            format!(
                "{negative} frames were decoded before they were generated: the clocks disagree"
            )
        } else if self.clocks.off_us != 0 {
            let off_ms = self.clocks.off_us as f64 / 1e3;
            format!("a service's clock was {off_ms:.3} ms from xrbench's, and all should be one")
        } else {
            return None;
        };
        Some(Finding::new(FindingKind::Clocks, text))
    }

    fn disturbed(&self) -> Option<Finding> {
        let text = "every second was disturbed: the figures are as much those of what else the machine did. Measure again \
                    when it is quiet; `xrbench doctor` says what is not";
        let watched = self.undisturbed.is_some() && self.frames.scheduled > 0;
        (watched && self.quiet_frames().is_none())
            .then(|| Finding::new(FindingKind::Inconclusive, text))
    }

    /// What was not reported may have been lost, or the slowest of all.
    fn unreported(&self) -> Option<Finding> {
        let frames = self.judged_frames();
        let share = frames.unreported as f64 / frames.scheduled.max(1) as f64;
        (share > MAX_LOST_SHARE).then(|| {
            let text = format!(
                "{} of {} scheduled frames are unreported: {:.2} %, and at most {:.1} % may be. Whether they were shown, and when, is unknown; \
                 the notes say why no report of them counts",
                frames.unreported,
                frames.scheduled,
                share * 100.0,
                MAX_LOST_SHARE * 100.0
            );
            Finding::new(FindingKind::Unreported, text)
        })
    }

    /// Of ours the blocks are read, and a stamp that cannot be read is of a torn picture. Of a reference digits are, by OCR, which fails
    /// now and then.
    fn unread(&self) -> Option<Finding> {
        let frames = self.judged_frames();
        let share = frames.unread as f64 / frames.scheduled.max(1) as f64;
        let torn = !self.pipeline.is_reference() && share > MAX_LOST_SHARE;
        torn.then(|| {
            let text = format!(
                "{} of {} scheduled frames were shown and could not be read: {:.2} %, and at most {:.1} % may be. Their pictures were torn, as \
                 they are from a lost packet to the next key frame{}",
                frames.unread,
                frames.scheduled,
                share * 100.0,
                MAX_LOST_SHARE * 100.0,
                self.on_purpose()
            );
            Finding::new(FindingKind::Unread, text)
        })
    }

    /// What was done on purpose, for who asks why frames were lost; nothing where nothing was.
    fn on_purpose(&self) -> String {
        let deeds = self.faults.iter();
        let deeds: BTreeSet<_> = deeds
            .map(|one| format!("{} ({})", one.what, one.who))
            .collect();
        if deeds.is_empty() {
            return String::new();
        }
        let deeds: Vec<_> = deeds.into_iter().collect();
        format!("; done on purpose: {}", deeds.join(", "))
    }

    fn lost(&self) -> Option<Finding> {
        let frames = self.judged_frames();
        let share = frames
            .lost_share()
            .filter(|share| *share > MAX_LOST_SHARE)?;
        let (kind, of) = match (&self.undisturbed, self.quiet_frames()) {
            (Some(_), Some(_)) => (FindingKind::Lost, " on undisturbed seconds"),
            (None, _) => (FindingKind::Lost, ""),
            (Some(_), None) => (
                FindingKind::Inconclusive,
                ", and every second was disturbed, so that nobody can say by what",
            ),
        };
        Some(Finding::new(
            kind,
            format!(
                "{} of {} scheduled frames were lost{of}: {:.2} %, and at most {:.1} % may be{}",
                frames.lost,
                frames.scheduled,
                share * 100.0,
                MAX_LOST_SHARE * 100.0,
                self.on_purpose()
            ),
        ))
    }
}

impl FloorSummary {
    /// What is wrong with its repetitions; none where all were measured.
    pub fn finding(&self) -> Option<Finding> {
        Finding::of_damage(&self.notes)
            .or_else(|| Finding::of_repetitions(self.runs, self.latency_us.is_some()))
    }
}

impl FrameCounts {
    /// The share of the scheduled frames that was lost, 0 to 1; none where none was scheduled.
    pub fn lost_share(&self) -> Option<f64> {
        (self.scheduled > 0).then(|| self.lost as f64 / self.scheduled as f64)
    }
}

impl Summary {
    /// Every scenario and floor, by name, with what is wrong with it.
    pub fn findings(&self) -> impl Iterator<Item = (&str, Finding)> {
        let scenarios = self
            .scenarios
            .iter()
            .filter_map(|one| Some((one.name.as_str(), one.finding()?)));
        let floors = self
            .floors
            .iter()
            .filter_map(|one| Some((one.name.as_str(), one.finding()?)));
        scenarios.chain(floors)
    }

    /// Checks that everything that was planned was measured: a part of a result is no success.
    ///
    /// # Errors
    /// Names each scenario and floor that was not measured whole, and why.
    pub fn check(&self) -> anyhow::Result<()> {
        let missing: Vec<_> = self
            .findings()
            .filter(|(_, finding)| finding.kind.is_unmeasured())
            .map(|(name, finding)| format!("{name}: {}", finding.text))
            .collect();
        anyhow::ensure!(
            missing.is_empty(),
            "the result is not whole: {}",
            missing.join("; ")
        );
        Ok(())
    }
}
