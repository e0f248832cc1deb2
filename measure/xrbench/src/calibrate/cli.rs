//! `xrbench calibrate`'s command line.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use service::{ConfigError, Shutdown};
use settings::{Bitrate, ClusterName, RendererSettings, Span, VideoSize, whole};
use testbed::local::isolate::Isolation;

use super::conclude;
use crate::run::{self, Entry, Print, RunOptions};
use crate::scenario::{CheckError, DirectionKeys, Fabric, File, Ocr, Scenario, Service, WanKeys};
use result::{Calibration, MAX_RESIDUAL_US, MAX_SLOPE_ERROR, kept};

const EXAMPLES: &str = "\
Examples:
  xrbench calibrate                 seven delays and two waits, three times each: four minutes
  xrbench calibrate --delays 0ms,10ms --runs 5 --out results/calibration

Each delay is put on the WAN from the streamer to the client and captured at both of its ends; the frames' latency must \
grow by exactly that much. The residual is the instrument's own error on this machine. Then renderer and client wait at \
each stamp, and the latency must grow by exactly the wait. What is found is kept, and reports print it.
Exit codes: 0 slope, residual and waits are within their bounds, 1 they are not or something failed, 64 wrong usage, 130 Ctrl-C.";

/// Put known delays into the path, and see whether they come back as those delays
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CalibrateArgs {
    /// The delays, one way
    #[arg(
        long,
        env = "XR_DELAYS",
        value_name = "TIME",
        value_delimiter = ',',
        default_value = "0ms,1ms,2ms,5ms,10ms,20ms,50ms"
    )]
    pub delays: Vec<Span>,
    /// The busy-wait between the two clock readings of every frame, put into the renderer and into the client, at most 100ms; 0s for none
    #[arg(long, env = "XR_HOLD", value_name = "TIME", default_value = "2ms", value_parser = hold)]
    pub hold: Span,
    /// Repetitions of each, interleaved; 2 to 100
    #[arg(long, env = "XR_RUNS", value_name = "N", default_value_t = 3,
        value_parser = whole::<u32>(2..=100))]
    pub runs: u32,
    /// Measured in each repetition
    #[arg(long, env = "XR_DURATION", value_name = "TIME", default_value = "5s")]
    pub duration: Span,
    /// Folder for the result; made if it is not there [default: results/calibration-TIME]
    #[arg(long, env = "XR_OUT", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the calibration as JSON
    #[arg(long, env = "XR_JSON")]
    pub json: bool,
    /// Folder of xr-renderer, xr-streamer and xr-client [default: that of xrbench]
    #[arg(long, env = "XR_BIN_DIR", value_name = "DIR")]
    pub bin_dir: Option<PathBuf>,
}

impl CalibrateArgs {
    /// The scenario file that it runs.
    pub fn file(&self) -> Result<File, ConfigError> {
        let mut distinct: Vec<_> = self.delays.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < 2 {
            let value = self
                .delays
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",");
            return Err(ConfigError::new(
                "--delays (XR_DELAYS)",
                value,
                "a line needs two different delays at least",
                "Write --delays 0ms,10ms, for example.",
            ));
        }
        let scenario = |delay| Scenario {
            name: format!("delay-{delay}"),
            size: VideoSize::SMALLEST,
            bitrate: Bitrate::TWO_MEGABITS,
            fabric: Fabric::Liqo,
            service: Service::Headless,
            warmup: Span::seconds(1),
            duration: self.duration,
            runs: self.runs,
            ocr: Ocr { max_frames: 0 },
            renderer: RendererSettings {
                cluster: ClusterName::B,
                ..RendererSettings::default()
            },
            wan: Some(WanKeys {
                b_to_a: Some(DirectionKeys {
                    delay: Some(delay),
                    ..DirectionKeys::default()
                }),
                ..WanKeys::default()
            }),
            ..Scenario::default()
        };
        let least = distinct[0];
        let mut scenarios: Vec<Scenario> = distinct.into_iter().map(scenario).collect();
        let hold_us = u32::try_from(self.hold.0.as_micros()).unwrap_or(u32::MAX);
        if hold_us > 0 {
            let mut renderer = scenario(least);
            renderer.name = format!("hold-{}-renderer", self.hold);
            renderer.renderer.hold_us = hold_us;
            let mut client = scenario(least);
            client.name = format!("hold-{}-client", self.hold);
            client.client.hold_us = hold_us;
            scenarios.extend([renderer, client]);
        }
        for scenario in &scenarios {
            scenario.check().map_err(|CheckError { key, value, why }| {
                let remedy = "`xrbench calibrate --help` shows what can be given.";
                ConfigError::new(format!("{key} of a calibration"), value, why, remedy)
            })?;
        }
        let about = "Known delays from the streamer to the client.";
        Ok(File::new("calibration", about, scenarios))
    }

    /// The run that measures it.
    fn options(&self) -> RunOptions {
        RunOptions {
            scenario_file: "xrbench calibrate".to_owned(),
            out: self.out.clone(),
            resume: false,
            pcap: super::CAPTURED.map(ToOwned::to_owned).to_vec(),
            bin_dir: self.bin_dir.clone(),
            kube: None,
            read_strips: false,
            prometheus: false,
            open: None,
            print: Print::Nothing,
        }
    }
}

/// Measures, fits, keeps and prints; false where a bound does not hold.
pub async fn run(
    args: CalibrateArgs,
    isolation: Option<Isolation>,
    shutdown: Shutdown,
) -> anyhow::Result<bool> {
    let entry = Entry {
        isolation,
        page: None,
    };
    let folder = run::run(&args.file()?, &args.options(), entry, shutdown).await?;
    let (calibration, machine) = conclude(&folder).context("cannot conclude the calibration")?;
    let kept = kept::keep(&machine, &calibration);
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&calibration)?)?;
    } else {
        write!(out, "{}", text(&calibration))?;
        match kept {
            Ok(path) => writeln!(out, "kept in {}", path.display())?,
            Err(error) => writeln!(
                out,
                "not kept, so that reports will not print it: {error:#}"
            )?,
        }
    }
    Ok(calibration.is_sound())
}

/// Reads a wait that the programs take.
fn hold(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    if span > Span::millis(100) || !span.0.subsec_nanos().is_multiple_of(1_000) {
        return Err("expected whole microseconds up to 100ms, as 2ms".to_owned());
    }
    Ok(span)
}

/// The calibration for people.
pub fn text(calibration: &Calibration) -> String {
    let fit = &calibration.fit;
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::UTF8_FULL_CONDENSED)
        .set_header([
            "set, ms",
            "on the wire, ms",
            "latency p50, ms",
            "residual, ms",
            "runs",
        ]);
    for step in &fit.steps {
        let ms = |us: f64| format!("{:.3}", us / 1e3);
        table.add_row([
            ms(step.set_us),
            ms(step.wire_us),
            ms(step.latency_us),
            ms(step.residual_us),
            step.runs.to_string(),
        ]);
    }
    let verdict = |holds: bool| if holds { "holds" } else { "MISSED" };
    let holds: String = calibration
        .holds
        .iter()
        .map(|hold| {
            format!(
                "a wait of {:.3} ms in the {} was found as {:.3} \u{b1} {:.3} ms (bound \u{b1} {:.1} ms: {})\n",
                hold.set_us / 1e3,
                hold.role,
                hold.found_us / 1e3,
                hold.margin_us / 1e3,
                MAX_RESIDUAL_US / 1e3,
                verdict(hold.came_back()),
            )
        })
        .collect();
    format!(
        "{table}\nslope {:.4} \u{b1} {:.4} (bound 1 \u{b1} {MAX_SLOPE_ERROR}: {})\nworst residual {:.3} \u{b1} {:.3} ms (bound {:.1} ms: {})\n\
         {holds}the delay was carried by: {}\n",
        fit.slope,
        fit.slope_margin,
        verdict(fit.slope_holds()),
        fit.worst_residual_us / 1e3,
        fit.residual_margin_us / 1e3,
        MAX_RESIDUAL_US / 1e3,
        verdict(fit.residual_holds()),
        calibration.wan_backend,
    )
}
