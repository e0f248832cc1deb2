//! Logs: lines on stderr, so that stdout stays for what was asked for. A program never waits for whoever reads them.

mod limit;
mod queue;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Stderr, Write};
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::limit::Limit;
use self::queue::Queue;

/// The events to log: `info`, or directives such as `info,xr_streamer=debug`. Checked when it is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Default for Filter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &dyn fmt::Display| {
            format!(
                "{why}; use error, warn, info, debug, trace or off, or directives such as info,streamer=debug"
            )
        };
        // The library takes a word that is no level for a program's part, of which everything is to be logged.
        let mut words = text.split(',');
        let other = words.find(|word| {
            !word.contains(['=', '[']) && !word.is_empty() && word.parse::<LevelFilter>().is_err()
        });
        if let Some(word) = other {
            return Err(wrong(&format_args!("`{word}` is no level")));
        }
        EnvFilter::try_new(text).map_err(|error| wrong(&error))?;
        Ok(Self(text.to_owned()))
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Lines of text for people.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// What may wait for whoever reads stderr: some two thousand lines.
const CAPACITY: usize = 256 * 1024;

/// The longest event that is written whole: the end of another process's log fits in.
const LONGEST_EVENT: usize = 16 * 1024;

/// What stands before the further lines of an event.
const CONTINUED: &[u8] = b"\n    ";

/// How long the end of the program waits for whoever reads stderr.
const LAST_WORDS: Duration = Duration::from_millis(300);

static STDERR: LazyLock<Queue<Stderr>> = LazyLock::new(|| Queue::new(io::stderr(), CAPACITY));

/// Sends events and panics to stderr from now on. Only the first call has an effect.
///
/// They are queued: nobody waits for whoever reads stderr. Lines that find the queue full are dropped, and so are those
/// that one place in the source logs too often; [`dropped`] counts them. A program calls [`finish`] before it ends.
pub fn init(filter: &Filter, format: Format) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&filter.0))
        .with_writer(|| Line)
        .with_ansi(io::stderr().is_terminal());
    let limit = Limit::new(dropped());
    let first = match format {
        Format::Text => builder.finish().with(limit).try_init(),
        Format::Json => builder.json().finish().with(limit).try_init(),
    };
    if first.is_ok() {
        std::panic::set_hook(Box::new(report_panic));
    }
}

/// Lines that were dropped: nobody read stderr in time, or there were too many of one kind.
pub fn dropped() -> Counter {
    STDERR.dropped()
}

/// Says `line` on stderr, in its place among what is logged, and waits for nobody.
pub fn say(line: &str) {
    STDERR.push(format!("{line}\n").as_bytes());
}

/// Says `text` on stderr, if anything, after everything that was logged; waits a moment for whoever reads it.
pub fn finish(text: &str) {
    STDERR.flush(LAST_WORDS);
    if !text.is_empty() {
        STDERR.push(text.as_bytes());
        STDERR.flush(LAST_WORDS);
    }
}

/// As the standard library's hook, which would wait for whoever reads stderr.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("{backtrace}\n"),
        _ => String::new(),
    };
    STDERR.push(format!("thread '{name}' {panic}\n{backtrace}").as_bytes());
    // Where a panic may not unwind, the process ends with this hook.
    STDERR.flush(LAST_WORDS);
}

/// Where one event is written, in one piece.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        STDERR.push(&one_event(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event as it is written: what a peer said within it begins no line that looks like another event, and is not long.
fn one_event(event: &[u8]) -> Cow<'_, [u8]> {
    let text = event.strip_suffix(b"\n").unwrap_or(event);
    let is_plain = !text.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    if is_plain && text.len() <= LONGEST_EVENT {
        return Cow::Borrowed(event);
    }
    let mut written = Vec::with_capacity(text.len().min(LONGEST_EVENT) + 64);
    for byte in &text[..text.len().min(LONGEST_EVENT)] {
        match byte {
            b'\n' => written.extend_from_slice(CONTINUED),
            b'\r' => written.push(b' '),
            byte => written.push(*byte),
        }
    }
    if text.len() > LONGEST_EVENT {
        let more = text.len() - LONGEST_EVENT;
        written.extend_from_slice(format!(" ({more} bytes more)").as_bytes());
    }
    written.push(b'\n');
    Cow::Owned(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever it quotes, an event begins one line, and the others are indented.
    #[test]
    fn no_event_looks_like_two() {
        assert_eq!(one_event(b"a line\n").as_ref(), b"a line\n");
        let forged = one_event(b"it says no\r\n2026-01-01T00:00:00Z ERROR forged\n");
        let lines: Vec<_> = forged.split(|byte| *byte == b'\n').collect();
        assert_eq!(
            lines,
            [
                &b"it says no "[..],
                b"    2026-01-01T00:00:00Z ERROR forged",
                b""
            ]
        );
        let long = one_event(&vec![b'x'; 2 * LONGEST_EVENT]).into_owned();
        assert!(long.len() < LONGEST_EVENT + 64 && long.ends_with(b" bytes more)\n"));
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        let error = "loud".parse::<Filter>().unwrap_err();
        assert!(
            error.starts_with("`loud` is no level; use error"),
            "{error}"
        );
        for right in ["warn", "off", "info,streamer=debug", "WARN,roq=trace"] {
            right.parse::<Filter>().unwrap();
        }
    }

    #[test]
    fn filters_are_checked_early() {
        assert_eq!(
            "info,streamer=debug".parse::<Filter>().unwrap().to_string(),
            "info,streamer=debug"
        );
        assert!(
            "streamer=loud"
                .parse::<Filter>()
                .unwrap_err()
                .contains("use error, warn")
        );
    }
}
