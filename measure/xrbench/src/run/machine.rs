//! What a run was on: the machine, and the versions of every program that takes part.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use testbed::resources;
use tokio::process::Command;

use super::commands::Programs;
use result::Machine;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the machine.
pub fn machine() -> Machine {
    Machine {
        clock_ticks_hz: resources::ticks_hz(),
        ..Machine::here()
    }
}

/// The first line that each program says of its version.
pub async fn versions(programs: &Programs) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::from([("xrbench".to_owned(), own_version())]);
    let asked: [(&str, &Path, &str); 6] = [
        ("xr-renderer", &programs.renderer, "--version"),
        ("xr-streamer", &programs.streamer, "--version"),
        ("xr-client", &programs.client, "--version"),
        ("ffmpeg", Path::new("ffmpeg"), "-version"),
        ("tesseract", Path::new("tesseract"), "--version"),
        ("gstreamer", Path::new("gst-inspect-1.0"), "--version"),
    ];
    for (name, program, flag) in asked {
        if let Some(line) = first_line(program, &[flag]).await {
            versions.insert(name.to_owned(), line);
        }
    }
    versions
}

/// This program's version, and the commit that it was built from where it was built in a checkout. Changes that were not
/// committed show in its digest alone.
pub fn own_version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match env!("XR_BUILT_FROM") {
        "" => version.to_owned(),
        commit => format!("{version}, commit {commit}"),
    }
}

/// The first line that a program prints; nothing if it fails or takes too long.
pub async fn first_line(program: &Path, args: &[&str]) -> Option<String> {
    let text = output(program, args).await?;
    text.lines()
        .find(|line| !line.trim().is_empty())
        .map(|line| line.trim().to_owned())
}

/// What a program prints on both outputs; nothing if it fails or takes too long.
pub async fn output(program: &Path, args: &[&str]) -> Option<String> {
    let run = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.ok()?.ok()?;
    let text = [output.stdout, output.stderr].concat();
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_says_its_version_in_its_first_line() {
        assert_eq!(
            first_line(Path::new("echo"), &["a version"])
                .await
                .as_deref(),
            Some("a version")
        );
        assert_eq!(first_line(Path::new("false"), &[]).await, None);
        assert_eq!(first_line(Path::new("/nonexistent"), &[]).await, None);
    }
}
