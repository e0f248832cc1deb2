//! A process's log: a bounded file, whose last lines are at hand for an error message.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// How many bytes of the end are kept in memory, for error messages and for the end of a log that grew too long.
const TAIL_BYTES: usize = 64 << 10;

/// Takes what a process writes. The file holds the beginning; the end of a longer log follows it when the process ends.
pub(crate) struct Log {
    file: Option<File>,
    room_bytes: usize,
    /// The last bytes, whether the file has them or not.
    tail: VecDeque<u8>,
    /// Bytes that did not go to the file.
    unkept_bytes: u64,
}

impl Log {
    /// Creates the file, or adds to it where the process has been restarted.
    pub(crate) fn open(path: &Path, limit_bytes: usize) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let room_bytes = limit_bytes.saturating_sub(TAIL_BYTES).max(limit_bytes / 2);
        Ok(Self {
            file: Some(file),
            room_bytes,
            tail: VecDeque::new(),
            unkept_bytes: 0,
        })
    }

    /// Takes the next bytes. A full disk ends the file, not the process: the tail in memory goes on.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let fits = bytes.len() <= self.room_bytes && self.unkept_bytes == 0;
        if fits
            && self
                .file
                .as_mut()
                .is_some_and(|file| file.write_all(bytes).is_ok())
        {
            self.room_bytes -= bytes.len();
        } else {
            self.unkept_bytes += bytes.len() as u64;
        }
        self.tail.extend(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
    }

    /// Writes the end of a log that grew too long.
    pub(crate) fn close(&mut self) {
        let Some(mut file) = self.file.take() else {
            return;
        };
        if self.unkept_bytes == 0 {
            return;
        }
        let kept = usize::try_from(self.unkept_bytes)
            .unwrap_or(usize::MAX)
            .min(self.tail.len());
        let gone = self.unkept_bytes - kept as u64;
        let tail = self.tail.make_contiguous();
        // The last lines are in memory too; a disk that is full has been reported by whatever it stopped.
        let _ = write!(file, "\n[{gone} bytes of log not kept]\n")
            .and_then(|()| file.write_all(&tail[tail.len() - kept..]));
    }

    /// Is this text among the last bytes?
    pub(crate) fn holds(&self, text: &str) -> bool {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        bytes
            .windows(text.len().max(1))
            .any(|window| window == text.as_bytes())
    }

    pub(crate) fn last_lines(&self, lines: usize) -> String {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.log");
        let mut log = Log::open(&path, 200_000).expect("created");
        for n in 0..100_000 {
            log.write(format!("line {n}\n").as_bytes());
        }
        log.close();
        let text = std::fs::read_to_string(&path).expect("a log");
        assert!(
            text.starts_with("line 0\nline 1\n"),
            "the beginning is there"
        );
        assert!(
            text.ends_with("line 99998\nline 99999\n"),
            "the end is there"
        );
        assert!(
            text.contains("bytes of log not kept]"),
            "and it says what is not"
        );
        assert!(text.len() < 201_000, "{}", text.len());
        assert_eq!(log.last_lines(2), "line 99998\nline 99999");
        assert!(log.holds("line 99999") && !log.holds("line 100000"));
    }

    #[test]
    fn a_short_log_is_kept_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a.log");
        for part in ["first\n", "second\n"] {
            let mut log = Log::open(&path, 1 << 20).expect("opened");
            log.write(part.as_bytes());
            log.close();
        }
        assert_eq!(
            std::fs::read_to_string(&path).expect("a log"),
            "first\nsecond\n"
        );
    }
}
