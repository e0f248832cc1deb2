//! Standard output, whose reader may have had enough.

use std::io::{self, ErrorKind, IsTerminal as _, StdoutLock, Write};

/// A writer whose reader may go: what is written from then on is dropped. Files are written and exit codes are right all the same, as
/// with `xrbench compare A B | head -3`.
#[derive(Debug)]
pub(crate) struct Printed<W> {
    to: W,
    closed: bool,
}

/// Standard output, to print to.
pub(crate) fn printed() -> Printed<StdoutLock<'static>> {
    Printed::new(io::stdout().lock())
}

impl Printed<StdoutLock<'static>> {
    /// Whether a person reads it.
    pub(crate) fn is_terminal(&self) -> bool {
        self.to.is_terminal()
    }
}

impl<W> Printed<W> {
    const fn new(to: W) -> Self {
        Self { to, closed: false }
    }

    fn unless_closed<T>(&mut self, done: io::Result<T>, dropped: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(dropped)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Printed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let done = self.to.write(bytes);
        self.unless_closed(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let done = self.to.flush();
        self.unless_closed(done, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one line, and fails from then on.
    #[derive(Debug)]
    struct Line(Vec<u8>, ErrorKind);

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.ends_with(b"\n") {
                return Err(self.1.into());
            }
            self.0.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_takes_all_and_a_full_disk_does_not() {
        let mut out = Printed::new(Line(Vec::new(), ErrorKind::BrokenPipe));
        for line in ["one\n", "two\n", "three\n"] {
            out.write_all(line.as_bytes()).expect("taken");
        }
        out.flush().expect("nothing is left");
        assert_eq!(out.to.0, b"one\n");
        let mut out = Printed::new(Line(Vec::new(), ErrorKind::StorageFull));
        out.write_all(b"one\n").expect("taken");
        assert!(out.write_all(b"two\n").is_err());
    }
}
