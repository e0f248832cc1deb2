//! `xrbench run`'s command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::place::kube::KubeArgs;
use super::runner::{Print, RunOptions};
use crate::scenario::{self, File, Overrides};

const EXAMPLES: &str = "\
Examples:
  Some six minutes; the table is printed, the rest is in results/:
    xrbench run scenarios/one-machine.toml
  One scenario of the file, shorter:
    xrbench run scenarios/one-machine.toml --only ours-udp-720p60 --set duration=10s --set runs=1
  Another file, and a browser that shows how it goes:
    xrbench run scenarios/ladder.toml --out results/ladder --open
  Go on with a run that was stopped:
    xrbench run scenarios/paper.toml --out results/paper --resume
  What the WAN carries, beside every frame:
    xrbench run scenarios/quick.toml --only s2-liqo-local --pcap wan-a
  Every command line, and how long it would take:
    xrbench run scenarios/smoke.toml --dry-run
  As pods (docs/kubernetes.md):
    xrbench run scenarios/kube.toml --place kube --context-a near --context-b far

--set takes a key of every scenario (duration=5s, client.latency_ms=20), of one scenario (NAME.duration=5s), or of the file \
(seed=7, disturbed.steal_percent=5). docs/scenarios.md has every key.
Exit codes: 0 done, 1 something failed or yielded no samples, 64 the scenario file or the command line is wrong, 130 \
Ctrl-C; the folder is readable in every case.";

/// Where the scenarios of a file run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PlaceWord {
    /// This machine: its own processes, or a lab where the scenario has a fabric
    #[default]
    Here,
    /// Pods of one or two clusters
    Kube,
}

/// Run a scenario file, and write and print what it measured
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct RunArgs {
    /// The scenario file, in TOML
    #[arg(value_name = "SCENARIO.toml")]
    pub scenario: PathBuf,
    /// Folder for the result; made if it is not there [default: results/NAME-TIME]
    #[arg(long, env = "XR_OUT", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a run that was stopped: repetitions that the folder of --out has complete are not run again
    #[arg(long, env = "XR_RESUME", requires = "out")]
    pub resume: bool,
    /// Capture packets in every repetition, where the fabric has this point (`xrbench lab --print` lists them): a pcap
    /// file beside frames.csv; may be given several times
    #[arg(long, env = "XR_PCAP", value_name = "POINT", value_delimiter = ',')]
    pub pcap: Vec<String>,
    /// Change a key of the file; may be given several times
    #[arg(long, env = "XR_SET", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Run only this scenario, and its floor; may be given several times
    #[arg(long, env = "XR_ONLY", value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Print what would be run, in which order and with which command lines, or with --place kube every object that would be
    /// applied, and run nothing
    #[arg(long, env = "XR_DRY_RUN")]
    pub dry_run: bool,
    /// Print the summary, or the plan, as JSON
    #[arg(long, env = "XR_JSON")]
    pub json: bool,
    /// Folder of xr-renderer, xr-streamer, xr-client and, for fabric lisp, xr-lisp [default: that of xrbench]
    #[arg(long, env = "XR_BIN_DIR", value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
    /// Where it runs
    #[arg(
        long,
        env = "XR_PLACE",
        value_name = "PLACE",
        value_enum,
        default_value_t
    )]
    pub place: PlaceWord,
    /// Show the run in a browser as it goes, at this address [default: a free port of 127.0.0.1]
    #[arg(
        long,
        env = "XR_OPEN",
        value_name = "ADDR:PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "127.0.0.1:0",
        value_parser = service::args::listen_address
    )]
    pub open: Option<SocketAddr>,
    /// Have a Prometheus scrape what is started; it is asked at /prometheus of the page that --open shows, which this implies
    #[arg(long, env = "XR_PROMETHEUS")]
    pub prometheus: bool,
    /// Leave the strips unread; `xrbench ocr DIR` reads them later, and `xrbench report DIR` shows what came of it
    #[arg(long, env = "XR_NO_OCR")]
    pub no_ocr: bool,
    // Last, because their heading would go on for what follows.
    /// The clusters of `--place kube`.
    #[command(flatten)]
    pub kube: KubeArgs,
}

/// A free port of this machine alone.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl RunArgs {
    /// Reads the scenario file, with what of the command line changes it.
    pub fn load(&self) -> anyhow::Result<File> {
        let overrides = Overrides {
            set: self.set.clone(),
            only: self.only.clone(),
            only_origin: "--only (XR_ONLY)",
        };
        scenario::load(&self.scenario, &overrides)
    }

    /// Everything that the command line says beside the file.
    pub fn options(self) -> RunOptions {
        RunOptions {
            scenario_file: self.scenario.display().to_string(),
            out: self.out,
            resume: self.resume,
            pcap: self.pcap,
            bin_dir: self.bin_dir,
            kube: (self.place == PlaceWord::Kube).then_some(self.kube),
            read_strips: !self.no_ocr,
            open: self.open.or_else(|| self.prometheus.then_some(ANY_PORT)),
            prometheus: self.prometheus,
            print: if self.json { Print::Json } else { Print::Table },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    /// Before a page is announced, which the option implies.
    #[test]
    fn a_prometheus_of_ours_is_not_for_clusters() {
        let options = |line: &[&str]| {
            let words = ["xrbench", "x.toml"].iter().chain(line);
            Line::try_parse_from(words)
                .expect("understood")
                .run
                .options()
        };
        assert!(options(&["--prometheus"]).check().is_ok());
        let error = options(&["--prometheus", "--place", "kube"]).check();
        let error = error.expect_err("it scrapes nothing there").to_string();
        assert!(
            error.contains("--prometheus") && error.contains("s1-single-monitored"),
            "{error}"
        );
    }
}
