//! The system's programs, run to their end: `ip`, `tc`, `nft`, `wg`.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::Signal;
use thiserror::Error;

use crate::netns::Netns;

/// Where an ordinary user's `PATH` does not look.
const SYSTEM_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Debian's package of each program that a lab runs.
pub(crate) const PACKAGES: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
    ("tcpdump", "tcpdump"),
    ("tshark", "tshark"),
    ("conntrack", "conntrack"),
    ("ethtool", "ethtool"),
];

/// A program that is not installed.
#[derive(Debug, Error)]
#[error("{program} is not there; apt-get install {package}")]
pub struct Missing {
    pub program: String,
    /// The package of Debian that has the program.
    pub package: &'static str,
}

/// A program of the system did not do as it was told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The program is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The program cannot be run.
    #[error("cannot run {program}: {source}")]
    Run { program: String, source: io::Error },
    /// The program refused a line of its batch.
    #[error("{program} refuses line {number}, `{line}`: {message}")]
    Line {
        program: String,
        /// The line's number, from 1.
        number: usize,
        line: String,
        message: String,
    },
    #[error("{program} failed: {message}")]
    Failed { program: String, message: String },
}

/// Finds a program in `PATH` and where the system keeps its own.
pub fn find(program: &str) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRS.map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| Missing {
            program: program.to_owned(),
            package: PACKAGES
                .iter()
                .find(|(name, _)| *name == program)
                .map_or(program_of_unknown_package(), |(_, package)| package),
        })
}

const fn program_of_unknown_package() -> &'static str {
    "the package that has it"
}

/// Runs a program with `input` on its standard input, in `netns` if given, with the descriptors of `inherit` open.
pub(crate) fn run(
    program: &str,
    args: &[&str],
    input: &str,
    netns: Option<&Netns>,
    inherit: &[&Netns],
) -> Result<Output, CommandError> {
    let mut command = Command::new(find(program)?);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut hook = Netns::hook(netns, inherit);
    #[expect(unsafe_code, reason = "the one way to run code between fork and exec")]
    // SAFETY: the hook makes system calls only, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            hook()
        });
    }
    let output = command.spawn().and_then(|mut child| {
        let mut stdin = child.stdin.take().expect("it was piped");
        // One that has stopped reading says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output()
    });
    output.map_err(|source| CommandError::Run {
        program: program.to_owned(),
        source,
    })
}

/// Runs a program that must succeed.
pub(crate) fn succeed(
    program: &str,
    args: &[&str],
    input: &str,
    netns: Option<&Netns>,
) -> Result<String, CommandError> {
    let output = run(program, args, input, netns, &[])?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(CommandError::Failed {
        program: program.to_owned(),
        message: message(&output),
    })
}

fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim();
    if text.is_empty() {
        output.status.to_string()
    } else {
        text.to_owned()
    }
}

/// Runs lines through `ip -batch` or `tc -batch`; the first that is refused ends it.
pub(crate) fn batch(
    program: &str,
    lines: &str,
    netns: Option<&Netns>,
    inherit: &[&Netns],
) -> Result<(), CommandError> {
    if lines.trim().is_empty() {
        return Ok(());
    }
    let output = run(program, &["-batch", "-"], lines, netns, inherit)?;
    match refusals(&String::from_utf8_lossy(&output.stderr))
        .into_iter()
        .next()
    {
        Some((number, message)) => Err(refused(program, lines, number, message)),
        None if output.status.success() => Ok(()),
        None => Err(CommandError::Failed {
            program: program.to_owned(),
            message: message(&output),
        }),
    }
}

/// Runs a batch of which some may be there already: lines that are refused for that reason alone are passed over.
pub(crate) fn batch_again(program: &str, lines: &str, netns: &Netns) -> Result<(), CommandError> {
    if lines.trim().is_empty() {
        return Ok(());
    }
    let output = run(program, &["-force", "-batch", "-"], lines, Some(netns), &[])?;
    let is_there = |message: &str| {
        ["File exists", "already assigned", "Exclusivity flag on"]
            .iter()
            .any(|words| message.contains(words))
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    match refusals(&stderr)
        .into_iter()
        .find(|(_, message)| !is_there(message))
    {
        Some((number, message)) => Err(refused(program, lines, number, message)),
        None => Ok(()),
    }
}

fn refused(program: &str, lines: &str, number: usize, message: String) -> CommandError {
    CommandError::Line {
        program: program.to_owned(),
        number,
        line: lines
            .lines()
            .nth(number.saturating_sub(1))
            .unwrap_or_default()
            .to_owned(),
        message,
    }
}

/// Each refused line's number and what was said of it: iproute2 writes its words first, then `Command failed -:LINE`.
fn refusals(stderr: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut said = Vec::new();
    for line in stderr.lines() {
        let number = line
            .strip_prefix("Command failed ")
            .and_then(|place| place.rsplit_once(':')?.1.trim().parse().ok());
        match number {
            Some(number) => {
                found.push((number, said.join(" ")));
                said.clear();
            }
            None => said.push(line.trim()),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_lines_are_found_with_what_was_said() {
        let stderr = "RTNETLINK answers: File exists\nCommand failed -:3\nCannot find device \"x\"\nCommand failed -:7\n";
        assert_eq!(
            refusals(stderr),
            [
                (3, "RTNETLINK answers: File exists".to_owned()),
                (7, "Cannot find device \"x\"".to_owned())
            ]
        );
        assert_eq!(refusals("Warning: something\n"), []);
        let error = refused("ip", "a\nb\nlink add\n", 3, "no".to_owned()).to_string();
        assert_eq!(error, "ip refuses line 3, `link add`: no");
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let error = find("xr-none").expect_err("there is none");
        assert!(error.to_string().contains("xr-none"), "{error}");
        assert!(find("sh").is_ok());
    }
}
