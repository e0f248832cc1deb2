//! Files that a lab's processes read and write: secrets above all, in memory that ends with the lab's namespaces.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::topology::DaemonFile;

/// Where every lab of a runner has its folder: a file system of the runner's own.
pub(super) const FOLDER: &str = "/var/run/xrbench";

/// The folder of one lab. Dropping it removes everything in it.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Makes the folder of the lab of this number.
    pub(super) fn new(lab: u32) -> io::Result<Self> {
        let folder = Path::new(FOLDER).join(lab.to_string());
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes what a process reads.
    pub(super) fn write(&self, files: &[DaemonFile]) -> io::Result<()> {
        for DaemonFile { name, text, .. } in files {
            let mut options = fs::OpenOptions::new();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(self.folder.join(name))?;
            file.write_all(text.as_bytes())?;
        }
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What stays ends with the namespaces.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
