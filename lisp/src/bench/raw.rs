//! The raw data of an experiment with outages, as files of comma-separated values.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::fleet::Answer;
use super::outage::{Moments, Parts};
use super::seen::Seen;

/// The files of a measurement's raw data, each written as it goes.
#[derive(Debug)]
pub(crate) struct Raw {
    folder: PathBuf,
    figures: File,
    events: File,
    answers: File,
}

impl Raw {
    /// Makes the folder and the files; `figures` is the name of the one with a line for each repetition, `what` its first label.
    pub(crate) fn create(folder: &Path, figures: &str, what: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        let create = |name: &str, columns: &str| {
            let path = folder.join(name);
            let file = File::create(&path);
            let mut file = file.with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(file, "repetition,{what},way,{columns}")?;
            anyhow::Ok(file)
        };
        Ok(Self {
            figures: create(
                figures,
                "begun_ns,last_ns,detected_ns,mapped_ns,first_ns,detection_ms,mapping_ms,connection_ms,total_ms,lost",
            )?,
            events: create("events.csv", "program,at_ns,event,about")?,
            answers: create("answers.csv", "number,sent_ns,answered_ns,by")?,
            folder,
        })
    }

    /// An empty folder for the programs of one measurement; the last one's is left.
    pub(crate) fn scratch(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join("programs");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Writes what one measurement has found.
    pub(crate) fn write(
        &mut self,
        repetition: u16,
        [what, way]: [&str; 2],
        seen: &Seen,
    ) -> anyhow::Result<()> {
        let of = format!("{repetition},{what},{way}");
        let Moments {
            begun_ns,
            last_ns,
            detected_ns,
            mapped_ns,
            first_ns,
            lost,
        } = seen.moments;
        let Parts {
            detection_ms,
            mapping_ms,
            connection_ms,
        } = seen.parts;
        let total_ms = seen.parts.total_ms();
        writeln!(
            self.figures,
            "{of},{begun_ns},{last_ns},{detected_ns},{mapped_ns},{first_ns},\
             {detection_ms:.3},{mapping_ms:.3},{connection_ms:.3},{total_ms:.3},{lost}"
        )?;
        for (program, told) in &seen.events {
            if let Some((at_ns, event, about)) = told.fields() {
                writeln!(self.events, "{of},{program},{at_ns},{event},{about}")?;
            }
        }
        for answer in &seen.answers {
            let Answer {
                number,
                sent_ns,
                answered_ns,
                by,
            } = answer;
            writeln!(self.answers, "{of},{number},{sent_ns},{answered_ns},{by}")?;
        }
        Ok(())
    }
}
