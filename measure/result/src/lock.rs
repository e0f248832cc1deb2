//! Who writes a result's folder: one process at a time, into a folder that holds a result and nothing else.
//!
//! The lock is the kernel's, on the folder itself (`flock`): nothing is left over by a process that was killed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::folder::{PART, RunFolder};

/// A name that a folder may hold although nobody put it there: file systems make it.
const LOST_AND_FOUND: &str = "lost+found";

/// Folders of one name that are tried, when others have them.
const MAX_TRIES: u32 = 1_000;

/// How long one who goes on waits for the last process of one that was killed, and how often it looks.
const MOMENT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// A result's folder that nobody else writes, for as long as this lives.
#[derive(Debug)]
#[must_use = "dropping it lets others write into the folder"]
pub struct FolderLock {
    _folder: File,
}

/// The reason why a folder cannot be written into.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Another process writes into it.
    #[error("another process is writing a result into it")]
    Busy,
    /// A result is there already.
    #[error("it holds a result already, which would be overwritten")]
    Result,
    /// Something else is there.
    #[error("it holds {0:?}, and no result")]
    Foreign(String),
    /// A file is where the folder would be.
    #[error("{0} is a file, and a result is a folder")]
    File(String),
    /// Nothing is there.
    #[error("there is no run.json in it, so no run to go on with")]
    None,
    /// The file system does not let the folder be used.
    #[error("it cannot be {0}: {1}")]
    Io(&'static str, #[source] io::Error),
}

impl FolderError {
    /// What to do, as a whole sentence.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Busy => "Wait until that one ends, or give another folder.",
            Self::Result => {
                "Give another folder, add --resume to go on with a run that was stopped, or remove this one."
            }
            Self::Foreign(_) => "Give a folder that is empty, or not there yet.",
            Self::File(_) => "Give the name of a folder, or one that is not there yet.",
            Self::None => "Give the folder that the stopped run wrote, or leave --resume out.",
            Self::Io(..) => "Give a folder on a local disk that this user may write into.",
        }
    }
}

impl RunFolder {
    /// Takes the folder for a new result: it must be empty, or not there.
    pub fn begin(&self) -> Result<FolderLock, FolderError> {
        make(self.root())?;
        let lock = lock(self.root())?;
        if self.run_json().exists() {
            return Err(FolderError::Result);
        }
        sweep(self.root());
        let found = fs::read_dir(self.root()).map_err(|error| FolderError::Io("read", error))?;
        let mut names = found.flatten().map(|entry| entry.file_name());
        match names.find(|name| name != LOST_AND_FOUND) {
            Some(name) => Err(FolderError::Foreign(name.to_string_lossy().into_owned())),
            None => Ok(lock),
        }
    }

    /// Takes a folder for a new result that was not there: this one, or else one of its name with a number behind it.
    pub fn begin_beside(&self) -> Result<(Self, FolderLock), FolderError> {
        let made = |error| FolderError::Io("made", error);
        if let Some(parent) = self.root().parent() {
            make(parent)?;
        }
        for number in 1..=MAX_TRIES {
            let root = match number {
                1 => self.root().to_owned(),
                _ => PathBuf::from(format!("{}-{number}", self.root().display())),
            };
            match fs::create_dir(&root) {
                Ok(()) => {
                    let lock = lock(&root)?;
                    return Ok((Self::new(root), lock));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(made(error)),
            }
        }
        Err(FolderError::Result)
    }

    /// Takes the folder of a result that is there, to go on with it.
    pub fn go_on(&self) -> Result<FolderLock, FolderError> {
        if !self.run_json().exists() {
            return Err(FolderError::None);
        }
        let lock = lock_soon(self.root())?;
        sweep(self.root());
        let scenarios = fs::read_dir(self.root()).into_iter().flatten().flatten();
        for scenario in scenarios.map(|entry| entry.path()) {
            for repetition in fs::read_dir(scenario).into_iter().flatten().flatten() {
                sweep(&repetition.path());
            }
        }
        Ok(lock)
    }
}

/// Makes a folder and those above it. A file on the way is named: the kernel does not say which it met.
fn make(folder: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(folder).map_err(|error| {
        let file = folder.ancestors().find(|path| path.is_file());
        file.map_or_else(
            || FolderError::Io("made", error),
            |file| FolderError::File(file.display().to_string()),
        )
    })
}

fn lock(folder: &Path) -> Result<FolderLock, FolderError> {
    let file = File::open(folder).map_err(|error| FolderError::Io("opened", error))?;
    match file.try_lock() {
        Ok(()) => Ok(FolderLock { _folder: file }),
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy),
        Err(TryLockError::Error(error)) => Err(FolderError::Io("locked", error)),
    }
}

/// As [`lock`], but waits a moment: the kernel ends the processes of one that was killed one after the other.
fn lock_soon(folder: &Path) -> Result<FolderLock, FolderError> {
    let begun = Instant::now();
    loop {
        match lock(folder) {
            Err(FolderError::Busy) if begun.elapsed() < MOMENT => std::thread::sleep(LOOK),
            taken => return taken,
        }
    }
}

/// Removes what a writer that was killed had not renamed yet. A file that cannot be removed is in nobody's way.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PART) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, RunFolder) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path().join("results/one"));
        (dir, folder)
    }

    #[test]
    fn a_folder_has_one_writer_and_one_result() {
        let (_dir, folder) = folder();
        let first = folder.begin().expect("not there");
        assert!(matches!(folder.begin(), Err(FolderError::Busy)));
        fs::write(folder.run_json(), "{}").expect("written");
        assert!(matches!(folder.go_on(), Err(FolderError::Busy)));
        drop(first);
        assert!(matches!(folder.begin(), Err(FolderError::Result)));
        drop(folder.go_on().expect("a result"));
        assert!(matches!(
            RunFolder::new("/nowhere").go_on(),
            Err(FolderError::None)
        ));
    }

    #[test]
    fn a_folder_of_other_things_is_left_as_it_is() {
        let (_dir, folder) = folder();
        fs::create_dir_all(folder.root().join("one/run-1")).expect("made");
        let error = folder.begin().expect_err("a folder is in it");
        assert!(error.to_string().contains("\"one\""), "{error}");
        assert!(error.remedy().contains("empty"), "{}", error.remedy());
        assert!(folder.root().join("one/run-1").exists());
        fs::remove_dir_all(folder.root().join("one")).expect("removed");
        // What a file system made, and what a writer that was killed at its first file left.
        fs::create_dir(folder.root().join(LOST_AND_FOUND)).expect("made");
        let part = folder.root().join(format!("{PART}x"));
        fs::write(&part, "{").expect("written");
        let _lock = folder.begin().expect("empty");
        assert!(!part.exists());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let (dir, _) = folder();
        let file = dir.path().join("notes.txt");
        fs::write(&file, "mine").expect("written");
        for below in [file.clone(), file.join("results")] {
            for taken in [
                RunFolder::new(&below).begin(),
                RunFolder::new(below.join("one"))
                    .begin_beside()
                    .map(|(_, lock)| lock),
            ] {
                let error = taken.expect_err("a file is in the way");
                let said = error.to_string();
                assert!(
                    said.ends_with("notes.txt is a file, and a result is a folder"),
                    "{said}"
                );
                assert!(error.remedy().contains("a folder"), "{}", error.remedy());
            }
        }
        assert_eq!(fs::read(&file).expect("left as it was"), b"mine");
    }

    #[test]
    fn two_that_draw_the_same_name_get_two_folders() {
        let (_dir, folder) = folder();
        let taken: Vec<_> = (0..3)
            .map(|_| folder.begin_beside().expect("made"))
            .collect();
        let names: Vec<_> = taken
            .iter()
            .map(|(folder, _)| folder.root().file_name())
            .collect();
        assert_eq!(
            names,
            ["one", "one-2", "one-3"].map(|name| Some(name.as_ref()))
        );
    }

    #[test]
    fn what_a_killed_writer_left_is_swept() {
        let (_dir, folder) = folder();
        let repetition = folder.repetition("s", 1);
        repetition.create().expect("made");
        let part = repetition.root().join(format!("{PART}abc"));
        for path in [&part, &repetition.meta_json(), &folder.run_json()] {
            fs::write(path, "{}").expect("written");
        }
        let _lock = folder.go_on().expect("a result");
        assert!(!part.exists() && repetition.meta_json().exists());
    }
}
