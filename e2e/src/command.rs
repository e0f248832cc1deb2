//! Programs that are run to their end.

use std::ffi::OsStr;
use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How a program ended, and what it said.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; none if a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Asserts that the program ended with code 0, and returns its standard output.
    ///
    /// # Panics
    /// If it did not.
    pub fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self}");
        self.stdout
    }

    /// Asserts that the program ended with `code`, and that its standard error has each of `words`, in either case.
    ///
    /// # Panics
    /// If one is not so.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        let said = self.stderr.to_lowercase();
        for word in words {
            assert!(
                said.contains(&word.to_lowercase()),
                "no word of {word:?}: {self}"
            );
        }
        assert!(!said.contains("panicked"), "{self}");
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ended with {:?}\nstdout: {}\nstderr: {}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}

/// Runs `program` to its end.
///
/// # Panics
/// If it cannot be started, or runs longer than `patience`.
pub async fn run<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: &[S],
    patience: Duration,
) -> Finished {
    run_in(program, args, &[], patience).await
}

/// Runs a program with variables added to its environment.
///
/// # Panics
/// If it cannot be started, or runs longer than `patience`.
pub async fn run_in<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: &[S],
    env: &[(&str, &str)],
    patience: Duration,
) -> Finished {
    let mut command = Command::new(program);
    command
        .args(args)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let line = format!("{:?}", command.as_std());
    let output = timeout(patience, command.output())
        .await
        .unwrap_or_else(|_| panic!("{line} did not end within {patience:?}"))
        .unwrap_or_else(|error| panic!("{line} cannot be run: {error}"));
    Finished {
        command: line,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
