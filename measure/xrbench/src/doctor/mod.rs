//! `xrbench doctor`: what this machine has and lacks, what each lack costs, and the remedy.

mod check;
mod machine;
mod programs;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;
use service::exit;

use self::check::{Check, Verdict};

const EXAMPLES: &str = "\
Examples:
  xrbench doctor          a line for each thing; what is lacking is explained below
  xrbench doctor --json   the same for programs

Nothing is changed: what is tried is tried in namespaces of its own, which go away at once.
Exit codes: 0 runs are possible, 1 they are not.";

/// Say what this machine has and lacks, what that costs, and the remedy
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long, env = "XR_JSON")]
    json: bool,
    /// Folder of xr-renderer, xr-streamer and xr-client [default: that of xrbench]
    #[arg(long, env = "XR_BIN_DIR", value_name = "DIR")]
    bin_dir: Option<PathBuf>,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Findings {
    runs_are_possible: bool,
    checks: Vec<Check>,
}

/// Looks at everything and prints what was found; returns the exit code.
pub async fn run(args: DoctorArgs) -> anyhow::Result<u8> {
    let mut checks = programs::checks(args.bin_dir.as_deref()).await;
    checks.extend(machine::checks().await);
    let possible = checks.iter().all(|check| check.verdict != Verdict::Missing);
    let text = if args.json {
        serde_json::to_string_pretty(&Findings {
            runs_are_possible: possible,
            checks,
        })? + "\n"
    } else {
        text(&checks, possible)
    };
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    Ok(if possible { exit::OK } else { exit::START })
}

fn text(checks: &[Check], possible: bool) -> String {
    let width = checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let mark = match check.verdict {
            Verdict::Good => "good   ",
            Verdict::Lacking => "lacking",
            Verdict::Missing => "MISSING",
        };
        push(
            &mut text,
            format_args!("{mark}  {:width$}  {}\n", check.name, check.found),
        );
    }
    for check in checks.iter().filter(|check| check.verdict != Verdict::Good) {
        push(
            &mut text,
            format_args!(
                "\n{}: {}\n  costs:  {}\n  remedy: {}\n",
                check.name, check.found, check.cost, check.remedy
            ),
        );
    }
    text.push_str(if possible {
        "\nRuns are possible.\n"
    } else {
        "\nNo run is possible before what is MISSING is there.\n"
    });
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what)
        .expect("a String takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where GStreamer, ffmpeg and tesseract are installed: the tests need them.
    const LOOKED_AT: [&str; 38] = [
        "programs",
        "xr-lisp",
        "GStreamer",
        "GStreamer registry",
        "GStreamer elements",
        "RTSP RECORD",
        "RTSP over TLS",
        "ffmpeg",
        "ffmpeg drawtext",
        "ffmpeg libx264",
        "tesseract",
        "tesseract data",
        "font",
        "processors",
        "load",
        "steal",
        "clock source",
        "frequency governor",
        "real-time priority",
        "net.core.rmem_max",
        "net.core.wmem_max",
        "TCP congestion control",
        "disk",
        "namespaces",
        "iproute2",
        "nftables",
        "/dev/net/tun",
        "WireGuard in the kernel",
        "wireguard-go",
        "wg",
        "Geneve in the kernel",
        "VXLAN in the kernel",
        "netem in the kernel",
        "real-time scheduling",
        "tcpdump",
        "tshark",
        "control groups",
        "RTP packets that fit",
    ];

    #[tokio::test]
    async fn every_lack_says_what_it_costs_and_what_to_do() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut checks = programs::checks(Some(dir.path())).await;
        checks.extend(machine::checks().await);
        let names: Vec<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, LOOKED_AT);
        for check in &checks {
            let explained = !check.cost.is_empty() && !check.remedy.is_empty();
            assert_eq!(explained, check.verdict != Verdict::Good, "{check:?}");
            assert!(!check.found.is_empty(), "{check:?}");
        }
        let programs = checks
            .iter()
            .find(|check| check.name == "programs")
            .expect("looked at");
        assert_eq!(
            programs.verdict,
            Verdict::Missing,
            "an empty folder has no programs"
        );
        let text = text(&checks, false);
        assert!(
            text.contains("MISSING  programs") && text.contains("No run is possible"),
            "{text}"
        );
    }
}
