//! Where each file of a result is, and how a file is replaced so that a reader never sees half of it.
//!
//! ```text
//! run.json  summary.json  report.html
//! <scenario>/run-<k>/  meta.json  frames.csv  latency.hlog  resources.csv  host.csv  events.csv  ocr.csv
//!                      frames-open.csv (while it is collected)  strips/  logs/
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::repetition::RepetitionMeta;
use super::run::{RunInfo, RunState};
use super::version::{self, OLDEST_READ, RUN_VERSION};

/// What the names of files begin with that are written whole and then renamed.
pub(super) const PART: &str = ".part-";

/// Repetitions that a result can have. Each is looked for.
const MAX_REPETITIONS: u64 = 1_000_000;

/// The folder of a result.
#[derive(Clone, Debug)]
pub struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// A result's folder at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was run, and on what: [`RunInfo`].
    pub fn run_json(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// What the result says.
    pub fn summary_json(&self) -> PathBuf {
        self.root.join("summary.json")
    }

    /// The page that shows it.
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The folder of one repetition; `run` counts from 1.
    pub fn repetition(&self, scenario: &str, run: u32) -> RepetitionFolder {
        RepetitionFolder {
            root: self.root.join(scenario).join(format!("run-{run}")),
        }
    }

    /// Reads `run.json`. One of a version that is not known here is refused: what it says may mean something else; and one with names that
    /// lead out of the folder, because it may be somebody else's. Of an earlier version, [`Self::older`] says how it is to be read.
    pub fn info(&self) -> anyhow::Result<RunInfo> {
        let path = self.run_json();
        let any: serde_json::Value = read_json(&path)?;
        let version = any
            .get("schema_version")
            .and_then(serde_json::Value::as_u64);
        anyhow::ensure!(
            version.is_some_and(version::is_read),
            "{} has {}, and this xrbench reads {OLDEST_READ} to {RUN_VERSION}: use the xrbench that wrote it, or measure again",
            path.display(),
            version.map_or_else(
                || "no schema_version".to_owned(),
                |version| format!("schema_version {version}")
            )
        );
        let info: RunInfo = serde_json::from_value(any)
            .with_context(|| format!("{} is not what this version writes", path.display()))?;
        let scenarios = info.scenarios.iter().map(|one| &one.name);
        for name in scenarios.chain(info.order.iter().map(|one| &one.scenario)) {
            anyhow::ensure!(
                is_folder_name(name),
                "{}: a scenario has the name {name:?}, which is none of a folder in this one; results that xrbench wrote have \
                 none like it",
                path.display()
            );
        }
        let repetitions: u64 = info.scenarios.iter().map(|one| u64::from(one.runs)).sum();
        anyhow::ensure!(
            repetitions <= MAX_REPETITIONS,
            "{} has {repetitions} repetitions; no result has more than {MAX_REPETITIONS}",
            path.display()
        );
        Ok(info)
    }

    /// How the figures of a result of an earlier version are to be read, why, and what to do; none where its files say all that those of
    /// today do.
    pub fn older(&self, info: &RunInfo) -> anyhow::Result<Option<String>> {
        let written = info.schema_version;
        let mut unsaid = BTreeSet::new();
        for one in info.scenarios.iter().filter(|_| written < RUN_VERSION) {
            let metas = (1..=one.runs).map(|run| self.repetition(&one.name, run).meta_json());
            for path in metas.filter(|path| path.exists()) {
                unsaid.extend(version::unsaid(written, &read_json(&path)?));
            }
        }
        Ok(version::told(written, &unsaid))
    }

    /// Each `meta.json` that was there once and is not any more: that of a repetition whose folder is there, which begins with it; and, of
    /// a finished run, that of any planned repetition.
    pub fn lost(&self, info: &RunInfo) -> Vec<PathBuf> {
        let is_finished = info.state == RunState::Finished;
        let all = info
            .scenarios
            .iter()
            .flat_map(|one| (1..=one.runs).map(|run| self.repetition(&one.name, run)));
        let lost = all.filter(|at| !at.meta_json().exists() && (is_finished || at.root().exists()));
        lost.map(|at| at.meta_json()).collect()
    }

    /// Every repetition that has begun, by scenario in the order of `run.json`, then by number.
    pub fn repetitions(&self) -> anyhow::Result<Vec<(RepetitionMeta, RepetitionFolder)>> {
        let mut found = Vec::new();
        for scenario in &self.info()?.scenarios {
            for run in 1..=scenario.runs {
                let folder = self.repetition(&scenario.name, run);
                if folder.meta_json().exists() {
                    let is_inside = inside(&self.root, folder.root())
                        .with_context(|| format!("cannot find {}", folder.root().display()))?;
                    anyhow::ensure!(
                        is_inside,
                        "{} is a link that leads out of the result: put a copy of that folder in its place",
                        folder.root().display()
                    );
                    let meta = folder.meta()?;
                    anyhow::ensure!(
                        meta.scenario == scenario.name && meta.run == run,
                        "{} is of repetition {} of {:?}: its folder was moved, or changed by hand",
                        folder.meta_json().display(),
                        meta.run,
                        meta.scenario
                    );
                    found.push((meta, folder));
                }
            }
        }
        Ok(found)
    }
}

/// The folder of one repetition.
#[derive(Clone, Debug)]
pub struct RepetitionFolder {
    root: PathBuf,
}

impl RepetitionFolder {
    /// A repetition's folder at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Creates the folder with `strips/` and `logs/`.
    pub fn create(&self) -> anyhow::Result<()> {
        for path in [self.strips(), self.logs()] {
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create the folder {}", path.display()))?;
        }
        Ok(())
    }

    /// The file `meta.json`, a [`RepetitionMeta`].
    pub fn meta_json(&self) -> PathBuf {
        self.root.join("meta.json")
    }

    /// Every frame, every point: `timeline::frames_csv`.
    pub fn frames_csv(&self) -> PathBuf {
        self.root.join("frames.csv")
    }

    /// Rows that wait for points of their way, while the repetition is collected: [`FrameRows`](crate::FrameRows) reads both.
    pub fn frames_open_csv(&self) -> PathBuf {
        self.root.join("frames-open.csv")
    }

    /// HdrHistogram interval log of the latency in microseconds.
    pub fn latency_hlog(&self) -> PathBuf {
        self.root.join("latency.hlog")
    }

    /// What each process used, second by second.
    pub fn resources_csv(&self) -> PathBuf {
        self.root.join("resources.csv")
    }

    /// The machine, second by second, and which seconds were disturbed.
    pub fn host_csv(&self) -> PathBuf {
        self.root.join("host.csv")
    }

    /// Starts, ends, faults, clock steps, disturbances.
    pub fn events_csv(&self) -> PathBuf {
        self.root.join("events.csv")
    }

    /// What Tesseract read from the strips.
    pub fn ocr_csv(&self) -> PathBuf {
        self.root.join("ocr.csv")
    }

    /// The packets that were captured at a point of the lab.
    pub fn pcap(&self, point: &str) -> PathBuf {
        self.root.join(format!("{point}.pcap"))
    }

    /// The folder of the kept strips.
    pub fn strips(&self) -> PathBuf {
        self.root.join("strips")
    }

    /// The folder of the processes' logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log of one process.
    pub fn log(&self, role: &str) -> PathBuf {
        self.logs().join(format!("{role}.log"))
    }

    /// Reads `meta.json`.
    pub fn meta(&self) -> anyhow::Result<RepetitionMeta> {
        read_json(&self.meta_json())
    }
}

/// Whether a folder lies in another, wherever links lead.
fn inside(outer: &Path, inner: &Path) -> io::Result<bool> {
    Ok(inner.canonicalize()?.starts_with(outer.canonicalize()?))
}

/// Whether a folder can have this name within another.
fn is_folder_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let one = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    one && parts.next().is_none() && !name.contains(char::is_control)
}

/// Reads a JSON file of a result.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| {
        format!(
            "cannot read {}: is its folder that of a result of `xrbench run`, `xrbench provision` or xr-collector?",
            path.display()
        )
    })?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what this version writes", path.display()))
}

/// Replaces a JSON file whole.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(value).context("cannot put the value into JSON")?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// Replaces a file whole: a reader sees the old content or the new, never a part, and a full disk leaves the old.
pub fn write_atomic(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        let mut part = tempfile::Builder::new()
            .prefix(PART)
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        part.write_all(content)?;
        part.as_file().sync_all()?;
        part.persist(path)?;
        Ok(())
    };
    write().with_context(|| cannot_write(path))
}

/// Where a file is written before it takes the place of `path`. Nobody else may write into the folder, and what a killed
/// writer left there is removed by the next one that takes the folder.
pub fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{PART}{name}"))
}

/// The context of every failed write: which file, what stands, what to do.
pub fn cannot_write(path: &Path) -> String {
    format!(
        "cannot write {}; what was written before stands; free the disk (`df -h` shows it), or choose another folder with \
         --out",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use timeline::UnixMicros;

    use super::*;
    use crate::{Pipeline, ScenarioInfo};

    #[test]
    fn a_result_is_found_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path());
        let scenario = ScenarioInfo {
            name: "ours".into(),
            pipeline: Pipeline::Ours,
            floor: Some("floor".into()),
            runs: 3,
            ..ScenarioInfo::default()
        };
        write_json(
            &folder.run_json(),
            &RunInfo {
                scenarios: vec![scenario],
                schema_version: RUN_VERSION,
                ..RunInfo::default()
            },
        )
        .expect("run.json");
        for run in [2, 1] {
            let at = folder.repetition("ours", run);
            at.create().expect("folders");
            let meta = RepetitionMeta {
                scenario: "ours".into(),
                run,
                fps: 60.0,
                measured_from_us: Some(UnixMicros(1_000_000)),
                measured_to_us: Some(UnixMicros(3_500_000)),
                ..RepetitionMeta::default()
            };
            write_json(&at.meta_json(), &meta).expect("meta.json");
        }
        let mut info = folder.info().expect("run.json");
        assert!(folder.lost(&info).is_empty(), "it goes on");
        info.state = RunState::Finished;
        let third = folder.repetition("ours", 3);
        assert_eq!(folder.lost(&info), [third.meta_json()]);
        info.state = RunState::Failed;
        third.create().expect("folders");
        assert_eq!(folder.lost(&info), [third.meta_json()], "it had begun");
        let found = folder.repetitions().expect("repetitions");
        assert_eq!(
            found.iter().map(|(meta, _)| meta.run).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(found[0].0.scheduled_frames(), 150);
    }

    /// Whatever a result that somebody sent says, nothing is read or written outside of it.
    #[test]
    fn names_in_a_result_do_not_leave_its_folder() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RunFolder::new(dir.path().join("result"));
        fs::create_dir(folder.root()).expect("made");
        let says = |name: &str, ordered: &str| {
            let info = RunInfo {
                scenarios: vec![ScenarioInfo {
                    name: name.into(),
                    runs: 1,
                    ..ScenarioInfo::default()
                }],
                order: vec![crate::PlannedRepetition {
                    scenario: ordered.into(),
                    run: 1,
                }],
                schema_version: RUN_VERSION,
                ..RunInfo::default()
            };
            write_json(&folder.run_json(), &info).expect("written");
            folder.info().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(says("s1-udp_2", "s1-udp_2"), Ok(()));
        for outside in [
            "../outside",
            "/etc",
            "..",
            ".",
            "",
            "a/b",
            "a/",
            "a\0b",
            "a\nb",
        ] {
            for (name, ordered) in [(outside, "s"), ("s", outside)] {
                let error = says(name, ordered).expect_err(outside);
                assert!(error.contains(&format!("{outside:?}")), "{error}");
            }
        }
        let later = RunInfo {
            schema_version: RUN_VERSION + 1,
            ..RunInfo::default()
        };
        write_json(&folder.run_json(), &later).expect("written");
        let error = folder.info().expect_err("a later version").to_string();
        assert!(error.contains("and this xrbench reads"), "{error}");
        let many = RunInfo {
            scenarios: vec![ScenarioInfo {
                name: "s".into(),
                runs: u32::MAX,
                ..ScenarioInfo::default()
            }],
            schema_version: RUN_VERSION,
            ..RunInfo::default()
        };
        write_json(&folder.run_json(), &many).expect("written");
        let error = folder.info().expect_err("too many").to_string();
        assert!(error.contains("4294967295 repetitions"), "{error}");
        assert_eq!(says("s", "s"), Ok(()));
        let repetition = folder.repetition("s", 1);
        repetition.create().expect("made");
        let of_another = RepetitionMeta {
            scenario: "../outside".into(),
            run: 1,
            ..RepetitionMeta::default()
        };
        write_json(&repetition.meta_json(), &of_another).expect("written");
        let error = folder.repetitions().expect_err("another's").to_string();
        assert!(error.contains("../outside"), "{error}");
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(folder.root().join("s"), &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, folder.root().join("s")).expect("linked");
        let error = folder.repetitions().expect_err("a link").to_string();
        assert!(error.contains("leads out"), "{error}");
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_no_rest() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("meta.json");
        write_atomic(&path, b"old").expect("first write");
        write_atomic(&path, b"new").expect("replaced");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        let in_the_way = dir.path().join("folder");
        fs::create_dir_all(in_the_way.join("full")).expect("something in the way");
        let error = write_atomic(&in_the_way, b"new").expect_err("cannot be written");
        assert!(format!("{error:#}").contains("folder"), "{error:#}");
        let left = fs::read_dir(dir.path()).expect("readable").count();
        assert_eq!(left, 2, "meta.json, and what was in the way");
    }

    #[test]
    fn others_may_read_a_result() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (plain, replaced) = (dir.path().join("plain"), dir.path().join("replaced"));
        fs::write(&plain, b"").expect("written");
        write_atomic(&replaced, b"").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode(&replaced), mode(&plain), "as the umask has it");
    }
}
