//! SIGKILLs at random moments over every program that is there: nothing that was recorded a second before is lost, nothing is
//! left behind, and the results say what happened.
//!
//! Twenty kills in the tests, a thousand by `make soak`. `XR_SOAK_SEED` repeats a sequence.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::{Sandbox, Service, binary, free_address, rows, run, until};
use result::{FrameRows, RepetitionFolder};
use serde_json::Value;
use testbed::{Exit, Process};
use timeline::frames_csv::Outcome;

use crate::run::json;
use crate::tools::{PATIENCE, text};

/// What was recorded so long before a kill must be there after it.
const RECORDED: Duration = Duration::from_secs(1);

/// Frames of a second.
const A_SECOND: u64 = 20;

/// Kills, unless `XR_SOAK_KILLS` says otherwise.
const KILLS: u64 = 20;

/// The programs that are killed.
const VICTIMS: [&str; 5] = ["renderer", "streamer", "client", "collector", "runner"];

/// The runner's own pipeline, small, and longer than any soak.
const SCENARIO: &str = "schema = 1\nname = \"soak\"\n[[scenario]]\nname = \"soak\"\nsize = \"640x360\"\nfps = 15\n\
                        bitrate = \"500k\"\nwarmup = \"0s\"\nduration = \"4s\"\nruns = 1000\nocr.max_frames = 0\n";

/// Everything that runs, and what came of it.
struct World<'a> {
    sandbox: &'a Sandbox,
    renderer: Service,
    streamer: Service,
    client: Service,
    collector: Service,
    runner: Process,
    /// Rows of the client's file when its process began.
    rows_before: usize,
    /// The collector's repetition.
    collected: u32,
    /// Collectors that were killed after they had frames.
    killed_collectors: usize,
}

impl<'a> World<'a> {
    async fn begin(sandbox: &'a Sandbox) -> Self {
        let token = sandbox.path("token");
        fs::write(&token, "soak").expect("written");
        fs::write(sandbox.path("soak.toml"), SCENARIO).expect("written");
        let streamer = sandbox.streamer(&[]).await;
        let renderer = sandbox
            .renderer(
                &streamer.feed_url("feed"),
                &["--fps", &A_SECOND.to_string()],
            )
            .await;
        let (listen, ops) = (free_address().to_string(), free_address().to_string());
        let out = text(&sandbox.path("collected"));
        let scraped = [("renderer", &renderer), ("streamer", &streamer)]
            .map(|(name, service)| format!("{name}={}", service.addr("ops")));
        let args = [
            "--listen",
            &listen,
            "--ops",
            &ops,
            "--out",
            &out,
            "--one-clock",
        ];
        let scrape = scraped.iter().flat_map(|target| ["--scrape", target]);
        let args: Vec<&str> = args.into_iter().chain(scrape).collect();
        let collector = sandbox.start("collector", "xr-collector", &args).await;
        let (url, to) = (streamer.rtsp_url("feed"), format!("http://{listen}"));
        let (frames, token) = (text(&sandbox.path("client.csv")), text(&token));
        let records = [
            "--collector",
            &to,
            "--client-id",
            "soak",
            "--frames",
            &frames,
        ];
        let play: Vec<&str> = records
            .into_iter()
            .chain(["--token-file", &token])
            .collect();
        let client = sandbox.client(&url, &play).await;
        let runner = start_runner(sandbox);
        client.shows(10, PATIENCE).await;
        Self {
            sandbox,
            renderer,
            streamer,
            client,
            collector,
            runner,
            rows_before: 0,
            collected: 1,
            killed_collectors: 0,
        }
    }

    fn client_rows(&self) -> usize {
        rows(&self.sandbox.path("client.csv")).len()
    }

    fn repetition(&self) -> RepetitionFolder {
        let run = format!("collected/collected/run-{}", self.collected);
        RepetitionFolder::new(self.sandbox.path(&run))
    }

    /// Kills one program a second after it was seen what it had recorded, starts it again, and looks for that.
    async fn kill(mut self, victim: &str, later: Duration) -> Self {
        match victim {
            "renderer" => {
                tokio::time::sleep(later).await;
                self.renderer = self.renderer.kill_and_restart().await;
            }
            "streamer" => {
                tokio::time::sleep(later).await;
                self.streamer = self.streamer.kill_and_restart().await;
            }
            "client" => {
                let shown = self.client.shown().await.expect("it answers");
                tokio::time::sleep(RECORDED + later).await;
                // It must have run for so long, too.
                until("more frames", PATIENCE, async || {
                    let now = self.client.shown().await?;
                    (now >= shown + A_SECOND).then_some(())
                })
                .await;
                self.client = self.client.kill_and_restart().await;
                let rows = self.client_rows();
                let recorded = (rows - self.rows_before) as u64;
                assert!(recorded >= shown, "{recorded} rows of {shown} frames shown");
                self.rows_before = rows;
            }
            "collector" => {
                let ops = self.collector.ops();
                let new = "xr_collector_reports_total{result=\"new\"}";
                let taken = ops.metric(new).await.unwrap_or(0.0);
                tokio::time::sleep(RECORDED + later).await;
                // It must have run for so long, too.
                until("more reports", PATIENCE, async || {
                    let now = ops.metric(new).await?;
                    (now >= taken + A_SECOND as f64).then_some(())
                })
                .await;
                self.collector.process().kill().await;
                let recorded = recorded(&self.repetition());
                assert!(
                    recorded as f64 >= taken,
                    "{recorded} rows of {taken} reports"
                );
                self.collector = self.collector.kill_and_restart().await;
                // A start in which no frame came is none.
                if recorded > 0 {
                    self.collected += 1;
                    self.killed_collectors += 1;
                }
            }
            _ => self.kill_runner(later).await,
        }
        // Whoever was killed, frames go all the way to the end again, and to the collector.
        self.client.shows(5, PATIENCE).await;
        let repetition = self.repetition();
        until("frames at the collector", PATIENCE, async || {
            let written = FrameRows::open(&repetition).ok()?.count();
            (written > 5).then_some(())
        })
        .await;
        self
    }

    async fn kill_runner(&mut self, later: Duration) {
        let out = self.sandbox.path("run");
        until("frames of the runner", PATIENCE, async || {
            let ended = self.runner.exit();
            assert!(ended.is_none(), "{ended:?}: {}", self.runner.log_tail());
            (lines(&out) > 0).then_some(())
        })
        .await;
        tokio::time::sleep(later).await;
        let (written, pid) = (lines(&out), self.runner.pid().expect("it runs"));
        let children = children(pid);
        self.runner.kill().await;
        let (cut, earlier) = (unfinished(&out), aside(&out));
        until("the end of the runner's programs", PATIENCE, async || {
            children.iter().all(|pid| has_ended(*pid)).then_some(())
        })
        .await;
        let before = repetitions(&out).len();
        self.runner = start_runner(self.sandbox);
        until("the runner to go on", PATIENCE, async || {
            let ended = self.runner.exit();
            assert!(ended.is_none(), "{ended:?}: {}", self.runner.log_tail());
            (repetitions(&out).len() > before).then_some(())
        })
        .await;
        let kept = lines(&out);
        assert!(kept >= written, "{kept} of {written} lines");
        assert!(
            !cut || aside(&out) > earlier,
            "what was cut short is kept beside"
        );
    }

    /// Ends everything as it should be ended.
    async fn end(self) -> usize {
        let exit = self.runner.interrupt(PATIENCE).await;
        assert_eq!(exit, Exit::Code(130), "{}", self.runner.log_tail());
        for service in [self.client, self.collector, self.renderer, self.streamer] {
            let ended = service.terminate().await;
            assert_eq!(ended.exit, Exit::Code(0), "{ended:?}");
        }
        self.killed_collectors
    }
}

/// Goes on with the run where there is one.
fn start_runner(sandbox: &Sandbox) -> Process {
    let (file, out) = (text(&sandbox.path("soak.toml")), sandbox.path("run"));
    let mut args = vec!["run".to_owned(), file, "--out".to_owned(), text(&out)];
    if out.join("run.json").exists() {
        args.push("--resume".to_owned());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    sandbox.spawn("xrbench", binary("xrbench"), &args)
}

/// Pictures that a repetition has, each frame's first one once.
fn recorded(repetition: &RepetitionFolder) -> usize {
    let Ok(rows) = FrameRows::open(repetition) else {
        return 0;
    };
    let rows: Vec<_> = rows.map(|row| row.expect("a row")).collect();
    let mut seen = HashSet::new();
    for row in &rows {
        let first = matches!(row.outcome, Outcome::Shown | Outcome::Unread);
        let key = (row.client.clone(), row.rtp_timestamp);
        assert!(!first || seen.insert(key), "twice: {row:?}");
    }
    rows.iter()
        .filter(|row| row.outcome != Outcome::Lost)
        .count()
}

/// Lines of what the runner has recorded, in repetitions that stand and in those that were set aside.
fn lines(out: &Path) -> usize {
    let repetitions = fs::read_dir(out.join("soak"))
        .into_iter()
        .flatten()
        .flatten();
    repetitions
        .filter_map(|folder| FrameRows::open(&RepetitionFolder::new(folder.path())).ok())
        .map(|rows| {
            rows.filter(|row| row.as_ref().is_ok_and(|row| row.outcome != Outcome::Lost))
                .count()
        })
        .sum()
}

/// The names of the runner's repetitions.
fn repetitions(out: &Path) -> Vec<String> {
    let folders = fs::read_dir(out.join("soak"))
        .into_iter()
        .flatten()
        .flatten();
    let names = folders.map(|folder| folder.file_name().to_string_lossy().into_owned());
    names.collect()
}

/// Repetitions that were set aside.
fn aside(out: &Path) -> usize {
    let names = repetitions(out);
    names
        .iter()
        .filter(|name| name.contains("-stopped-"))
        .count()
}

/// Whether a repetition was begun, and neither completed nor set aside.
fn unfinished(out: &Path) -> bool {
    let names = repetitions(out);
    let mut stand = names.iter().filter(|name| !name.contains("-stopped-"));
    stand.any(|name| {
        let folder = RepetitionFolder::new(out.join("soak").join(name));
        !folder.meta().is_ok_and(|meta| meta.complete)
    })
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| stat(*pid).is_some_and(|stat| stat[1] == parent.to_string());
    pids.filter(is_child).collect()
}

/// Whether a process is gone, or waits for nothing but to be asked how it ended.
fn has_ended(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| stat[0] == "Z")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_nothing_recorded_is_lost() {
    let seed = number("XR_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = number("XR_SOAK_KILLS").unwrap_or(KILLS);
    eprintln!("{kills} kills; XR_SOAK_SEED={seed} repeats them");
    let mut random = fastrand::Rng::with_seed(seed);
    let sandbox = Sandbox::new();
    let mut world = World::begin(&sandbox).await;
    let mut order = Vec::new();
    for kill in 0..kills {
        // Each as often as the others, in any order.
        if order.is_empty() {
            order = VICTIMS.to_vec();
            random.shuffle(&mut order);
        }
        let victim = order.pop().expect("it was filled");
        let later = Duration::from_millis(random.u64(0..500));
        eprintln!("{kill}: {victim}, {later:?} later");
        world = world.kill(victim, later).await;
    }
    let killed = world.end().await;

    let (collected, out) = (sandbox.path("collected"), sandbox.path("run"));
    let left = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.') || name == "frames-open.csv"
    };
    for folder in [&collected, &out] {
        let mut found = files(folder);
        found.retain(left);
        assert_eq!(found, Vec::<PathBuf>::new(), "left behind");
    }
    // Each that was killed is a repetition that was not completed, and the report says so.
    let report = run(
        binary("xrbench"),
        &["report", &text(&collected), "--json"],
        PATIENCE,
    )
    .await;
    let summary: Value =
        serde_json::from_str(&report.stdout).unwrap_or_else(|_| panic!("{report}"));
    let notes = summary["scenarios"][0]["notes"].to_string();
    let said = notes.matches("was not completed").count();
    assert_eq!(said, killed, "{notes}");
    assert_eq!(json(&out.join("run.json"))["state"], "interrupted");
}
