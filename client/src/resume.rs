//! Going on with a file of lines that an earlier process of this client left, perhaps killed in the middle of one:
//! nothing that was recorded is overwritten.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// No line of the files that are gone on with is longer.
const LONGEST_LINE_BYTES: u64 = 4_096;

/// Opens `path` to be appended to. A line that was cut off at its end is taken away. True if the file has lines, of which
/// the first is `header`; a file that begins otherwise is somebody else's, and is refused.
pub fn open(path: &Path, header: &str) -> io::Result<(File, bool)> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    // A device or a pipe is written to, and has no past.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok((file, false));
    }
    // Locked for as long as it is open: each of two writers would write over what the other wrote.
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            let why = "another process is writing it; name another file, or end that process";
            io::Error::new(io::ErrorKind::ResourceBusy, why)
        }
        TryLockError::Error(error) => error,
    })?;
    let length = metadata.len();
    let mut first = Vec::new();
    (&mut file)
        .take(header.len() as u64 + 1)
        .read_to_end(&mut first)?;
    if !format!("{header}\n").as_bytes().starts_with(&first) {
        let why = "the file exists and is not one of this program; move it away or name another";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let tail_at = length.saturating_sub(LONGEST_LINE_BYTES);
    file.seek(SeekFrom::Start(tail_at))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let end = if whole == 0 {
        0
    } else {
        tail_at + whole as u64
    };
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok((file, end > 0))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_cut_off_line_goes_and_whole_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.csv");
        for (before, after, has_lines) in [
            ("", "", false),
            ("a,", "", false),
            ("a,b\n", "a,b\n", true),
            ("a,b\n1,2\n3,", "a,b\n1,2\n", true),
        ] {
            std::fs::write(&path, before).unwrap();
            let (mut file, lines) = open(&path, "a,b").unwrap();
            assert_eq!(lines, has_lines, "{before:?}");
            file.write_all(b"end").unwrap();
            assert_eq!(
                std::fs::read_to_string(&path).unwrap(),
                format!("{after}end")
            );
        }
    }

    #[test]
    fn a_file_has_one_writer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.csv");
        let first = open(&path, "a,b").unwrap();
        let error = open(&path, "a,b").unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        drop(first);
        open(&path, "a,b").unwrap();
    }

    #[test]
    fn a_foreign_file_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.csv");
        std::fs::write(&path, "c,d\n").unwrap();
        assert!(
            open(&path, "a,b")
                .unwrap_err()
                .to_string()
                .contains("move it away")
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c,d\n");
    }
}
