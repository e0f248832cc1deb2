//! Text on its way to a file descriptor, in bounded memory: a thread of its own writes, and whoever logs never waits for
//! whoever reads the log.
//!
//! The crate tracing-appender has such a writer too. At its end it reports a blocked pipe with `eprintln`, which waits
//! for the same pipe and so holds up the exit.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::{Condvar, Mutex};
use prometheus_client::metrics::counter::Counter;

/// What a pipe with room takes in one piece, on Linux.
const PIPE_BUF: usize = 4096;

/// A queue of lines for `T`, which must be a `static` or leaked: its thread ends with the process.
#[derive(Debug)]
pub(super) struct Queue<T> {
    to: T,
    capacity: usize,
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    dropped: Counter,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines dropped since the thread last took what waits.
    missed: u64,
    has_thread: bool,
    /// The thread is writing what it took.
    writing: bool,
}

impl<T: AsFd + Sync> Queue<T> {
    /// An empty queue that holds at most `capacity` bytes, and as many again while they are being written.
    pub(super) fn new(to: T, capacity: usize) -> Self {
        Self {
            to,
            capacity,
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: Counter::default(),
        }
    }

    /// Lines dropped because the queue was full.
    pub(super) fn dropped(&self) -> Counter {
        self.dropped.clone()
    }

    /// Queues one line, or drops it. After a dropped line all are dropped until the thread has taken what waits, so that
    /// the gap is one.
    pub(super) fn push(&'static self, line: &[u8]) {
        let mut state = self.state.lock();
        if state.missed > 0 || state.waiting.len() + line.len() > self.capacity {
            state.missed += 1;
            self.dropped.inc();
            return;
        }
        state.waiting.extend_from_slice(line);
        if !state.has_thread {
            // The first line starts it, so that a program which forks before it logs has one thread then. Where no
            // thread can be made, the next line tries again.
            state.has_thread = std::thread::Builder::new()
                .name("log".to_owned())
                .spawn(|| self.write_all())
                .is_ok();
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until everything queued is written, at most `limit`. Whether it is.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.has_thread {
            let waiting = std::mem::take(&mut state.waiting);
            return waiting.is_empty() || write_at_once(&self.to, &waiting, limit);
        }
        let waits = |state: &mut State| state.writing || !state.waiting.is_empty();
        !self
            .emptied
            .wait_while_for(&mut state, waits, limit)
            .timed_out()
    }

    fn write_all(&self) {
        let mut batch = Vec::new();
        loop {
            batch.clear();
            let missed = {
                let mut state = self.state.lock();
                state.writing = false;
                if state.waiting.is_empty() {
                    self.emptied.notify_all();
                    self.filled
                        .wait_while(&mut state, |state| state.waiting.is_empty());
                }
                std::mem::swap(&mut batch, &mut state.waiting);
                state.writing = true;
                std::mem::take(&mut state.missed)
            };
            if missed > 0 {
                // Stands in the queue where the lines are missing.
                tracing::warn!(
                    lines = missed,
                    "log lines were dropped: nobody read stderr in time"
                );
            }
            write(&self.to, &batch);
        }
    }
}

/// Writes the beginning of `bytes`, as much as a pipe takes that has room within `limit`. Whether that is all.
fn write_at_once(to: impl AsFd, bytes: &[u8], limit: Duration) -> bool {
    let mut fds = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    let begin = &bytes[..bytes.len().min(PIPE_BUF)];
    poll(&mut fds, limit) == Ok(1)
        && nix::unistd::write(&to, begin).is_ok_and(|count| count == bytes.len())
}

/// Writes `bytes`, however long their reader takes. Whoever closed the other end does not want them.
fn write(to: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match nix::unistd::write(&to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                // Another process that shares the descriptor made it non-blocking. A poll that fails tries at once.
                let _ = poll(
                    &mut [PollFd::new(to.as_fd(), PollFlags::POLLOUT)],
                    PollTimeout::NONE,
                );
            }
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};

    use nix::fcntl::{FcntlArg, fcntl};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const AT_ONCE: Duration = Duration::from_millis(1);

    fn queue(capacity: usize) -> (std::io::PipeReader, &'static Queue<std::io::PipeWriter>) {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader, Box::leak(Box::new(Queue::new(writer, capacity))))
    }

    #[test]
    fn lines_come_in_order_and_a_flush_waits_for_the_last() {
        let (reader, queue) = queue(4096);
        assert!(queue.flush(AT_ONCE), "nothing was queued");
        for number in 0..100 {
            queue.push(format!("{number}\n").as_bytes());
        }
        assert!(queue.flush(PATIENCE));
        let lines = BufReader::new(reader).lines().take(100);
        for (number, line) in lines.enumerate() {
            assert_eq!(line.unwrap(), number.to_string());
        }
        assert_eq!(queue.dropped().get(), 0);
    }

    #[test]
    fn a_full_pipe_costs_lines_but_no_time_and_what_was_queued_still_comes() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // The pipe is full before anything is queued.
        let room = fcntl(&writer, FcntlArg::F_GETPIPE_SZ).unwrap();
        let mut before = vec![b'.'; usize::try_from(room).unwrap()];
        writer.write_all(&before).unwrap();
        let queue: &'static _ = Box::leak(Box::new(Queue::new(writer, 8192)));
        let mut given = 0;
        while queue.dropped().get() < 3 {
            queue.push(&[b'x'; 1000]);
            given += 1;
        }
        assert!(!queue.flush(AT_ONCE));
        reader.read_exact(&mut before).unwrap();
        let mut kept = vec![0; 1000 * (given - 3)];
        reader.read_exact(&mut kept).unwrap();
        assert!(queue.flush(PATIENCE));
        queue.push(b"again");
        reader.read_exact(&mut kept[..5]).unwrap();
        assert_eq!(&kept[..5], b"again");
        assert_eq!(queue.dropped().get(), 3);
    }

    #[test]
    fn a_reader_that_is_gone_holds_nobody_up() {
        let (reader, queue) = queue(64);
        drop(reader);
        for _ in 0..10 {
            queue.push(b"a line of some bytes");
            assert!(queue.flush(PATIENCE));
        }
        assert_eq!(queue.dropped().get(), 0);
    }
}
