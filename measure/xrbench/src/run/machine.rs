//! What a run was on: the machine, and the versions of every program that takes part.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use testbed::resources;
use tokio::process::Command;

use super::commands::Programs;
use super::host::load1;
use result::Machine;

/// How long a program may take to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the machine.
pub fn machine() -> Machine {
    let cores = std::thread::available_parallelism()
        .map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    Machine {
        host: read("/proc/sys/kernel/hostname"),
        os: value(&read("/etc/os-release"), "PRETTY_NAME=")
            .trim_matches('"')
            .to_owned(),
        kernel: format!(
            "{} {}",
            read("/proc/sys/kernel/osrelease"),
            read("/proc/sys/kernel/version")
        ),
        cpu: value(&read("/proc/cpuinfo"), "model name")
            .trim_start_matches([' ', '\t', ':'])
            .to_owned(),
        cores,
        memory_bytes: kibibytes(&read("/proc/meminfo"), "MemTotal:") * 1024,
        clock_ticks_hz: resources::ticks_hz(),
        clock_source: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        load1: load1(),
    }
}

/// The file without white space around it; empty where there is none.
pub fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn value<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_default()
}

fn kibibytes(text: &str, key: &str) -> u64 {
    value(text, key)
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// The first line that each program says of its version.
pub async fn versions(programs: &Programs) -> BTreeMap<String, String> {
    let mut versions =
        BTreeMap::from([("xrbench".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
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

    #[test]
    fn the_kernels_text_is_read_by_its_keys() {
        let meminfo = "MemTotal:       16384000 kB\nMemFree:         1024000 kB\n";
        assert_eq!(kibibytes(meminfo, "MemTotal:"), 16_384_000);
        assert_eq!(kibibytes(meminfo, "MemFree:"), 1_024_000);
        assert_eq!(kibibytes(meminfo, "SwapTotal:"), 0);
        assert_eq!(kibibytes("MemTotal: much kB\n", "MemTotal:"), 0);
        let release = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n";
        assert_eq!(value(release, "PRETTY_NAME="), "\"Debian GNU/Linux 12\"");
        assert_eq!(value(release, "ID="), "");
    }

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
