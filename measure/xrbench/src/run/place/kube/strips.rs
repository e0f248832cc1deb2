//! The strips of a client's pod, fetched over its ops port before the pod goes: they are on a volume that goes with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use cluster::{Cluster, Forward};
use result::{RepetitionFolder, cannot_write};
use tokio::time::Instant;

use super::limits::{STRIPS_BYTES, client_name};

/// The client's ops port, as `k8s/base` has it.
const OPS_PORT: u16 = 9093;

/// Where the client's pod has them, as `k8s/base` mounts it.
const MOUNTED: &str = "/strips";

/// Where the client's ops port serves them.
const SERVED: &str = "/strips";

/// The counter of strips that were written.
const KEPT: &str = "xr_client_strips_total{fate=\"kept\"} ";

/// How long the last strips may take to be on the volume; the client flushes them every half second.
const FLUSHED: Duration = Duration::from_secs(3);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The strips of a repetition, from one pod after the other.
#[derive(Debug)]
pub(super) struct Strips {
    folder: PathBuf,
    /// Files that are here: those of the next pod follow them.
    files: usize,
    bytes: u64,
}

/// The arguments of one client of several: the first one keeps strips, on the volume of its pod; the others keep none, because a
/// repetition has one folder of them.
pub(super) fn arguments(name: &str, args: &[String]) -> Vec<String> {
    let keeps = name == client_name(1);
    let mut own = Vec::with_capacity(args.len());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--strips" {
            // Its value is a folder of this machine.
            let _ = words.next();
            if keeps {
                own.extend([word.clone(), MOUNTED.to_owned()]);
            }
        } else if keeps || !word.starts_with("--strips-") {
            own.push(word.clone());
        }
    }
    own
}

impl Strips {
    /// None where the client keeps none.
    pub(super) fn of(args: &[String], folder: &RepetitionFolder) -> Option<Self> {
        args.iter().any(|arg| arg == "--strips").then(|| Self {
            folder: folder.strips(),
            files: 0,
            bytes: 0,
        })
    }

    /// Fetches what a pod has, and returns how many strips these are.
    pub(super) async fn fetch(
        &mut self,
        cluster: &Cluster,
        namespace: &str,
        pod: &str,
    ) -> anyhow::Result<usize> {
        let mut forward = Forward::new(cluster, namespace, pod, OPS_PORT);
        let fetched = tokio::time::timeout(PATIENCE, self.fetch_all(&mut forward));
        let fetched = fetched.await;
        fetched.with_context(|| format!("not all of them within {} s", PATIENCE.as_secs()))?
    }

    async fn fetch_all(&mut self, forward: &mut Forward) -> anyhow::Result<usize> {
        let index = index(forward).await?;
        let mut renumbered = Renumbered::new(self.files);
        let rows = renumbered.rows(&index)?;
        if rows.is_empty() {
            return Ok(0);
        }
        fs::create_dir_all(&self.folder).with_context(|| cannot_write(&self.folder))?;
        for (theirs, ours) in &renumbered.names {
            let path = self.folder.join(ours);
            File::create(&path).with_context(|| cannot_write(&path))?;
            self.bytes += append(forward, &format!("{SERVED}/{theirs}"), &path, self.bytes).await?;
        }
        self.files += renumbered.names.len();
        // Images first: the index never names one that is not there.
        let path = self.folder.join("index.csv");
        let is_new = !path.exists();
        let file = File::options().create(true).append(true).open(&path);
        let mut file = file.with_context(|| cannot_write(&path))?;
        let header = index.lines().next().unwrap_or_default();
        let head = if is_new {
            format!("{header}\n")
        } else {
            String::new()
        };
        let text = head + &rows.concat();
        file.write_all(text.as_bytes())
            .with_context(|| cannot_write(&path))?;
        Ok(rows.len())
    }
}

/// Appends to a file what a pod has of it beyond that, and returns how many bytes these are; `before` were fetched already.
pub(super) async fn append(
    forward: &mut Forward,
    served: &str,
    path: &Path,
    before: u64,
) -> anyhow::Result<u64> {
    let file = File::options().create(true).append(true).open(path);
    let mut file = file.with_context(|| cannot_write(path))?;
    let mut from = file.metadata().with_context(|| cannot_write(path))?.len();
    let mut fetched = 0;
    loop {
        let part = forward.get(served, from).await?;
        if part.bytes.is_empty() {
            return Ok(fetched);
        }
        from += part.bytes.len() as u64;
        fetched += part.bytes.len() as u64;
        anyhow::ensure!(
            before + from <= 2 * STRIPS_BYTES,
            "the pods send more than {} MiB, which they were not asked for",
            (2 * STRIPS_BYTES) >> 20
        );
        file.write_all(&part.bytes)
            .with_context(|| cannot_write(path))?;
    }
}

/// The pod's index, once it names every strip that was written.
async fn index(forward: &mut Forward) -> anyhow::Result<String> {
    let page = forward.get("/metrics", 0).await?;
    let page = String::from_utf8_lossy(&page.bytes).into_owned();
    let kept = page.lines().find_map(|line| line.strip_prefix(KEPT));
    let kept: usize = kept.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let deadline = Instant::now() + FLUSHED;
    loop {
        let mut text = Vec::new();
        loop {
            let from = text.len() as u64;
            let part = forward.get(&format!("{SERVED}/index.csv"), from).await?;
            if part.bytes.is_empty() {
                break;
            }
            text.extend_from_slice(&part.bytes);
        }
        let text = String::from_utf8(text).context("the index of strips is no text")?;
        // The first line is the header.
        if text.lines().count() > kept || Instant::now() > deadline {
            return Ok(text);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Names of files here for those of a pod, which counts from 0 as the pod before it did.
#[derive(Debug)]
struct Renumbered {
    first: usize,
    names: BTreeMap<String, String>,
}

impl Renumbered {
    const fn new(first: usize) -> Self {
        Self {
            first,
            names: BTreeMap::new(),
        }
    }

    /// The rows of an index with the names of files here, without its header and without a last line that is cut off.
    fn rows(&mut self, index: &str) -> anyhow::Result<Vec<String>> {
        let mut rows = Vec::new();
        for line in index.split_inclusive('\n').skip(1) {
            if !line.ends_with('\n') {
                break;
            }
            let (file, rest) = line.split_once(',').unwrap_or((line, ""));
            let number = file.strip_prefix("strips-");
            let number = number.and_then(|name| name.strip_suffix(".pgm"));
            // It becomes a name of a file here.
            anyhow::ensure!(
                number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())),
                "the index of strips names {file:?}, which is no file of strips"
            );
            let next = self.first + self.names.len();
            let ours = self.names.entry(file.to_owned());
            let ours = ours.or_insert_with(|| format!("strips-{next:05}.pgm"));
            rows.push(format!("{ours},{rest}"));
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_client_keeps_strips_on_the_volume_of_its_pod() {
        let args = [
            "--sink=none",
            "--strips",
            "/here/strips",
            "--strips-max=9",
            "--ops",
            "x:1",
        ];
        let args = args.map(ToOwned::to_owned);
        let kept = [
            "--sink=none",
            "--strips",
            "/strips",
            "--strips-max=9",
            "--ops",
            "x:1",
        ];
        assert_eq!(arguments("client", &args), kept);
        assert_eq!(
            arguments("client-2", &args),
            ["--sink=none", "--ops", "x:1"]
        );
        assert!(Strips::of(&args, &RepetitionFolder::new("x")).is_some());
        assert!(Strips::of(&args[..1], &RepetitionFolder::new("x")).is_none());
    }

    #[test]
    fn strips_of_a_pod_follow_those_of_the_pod_before_it() {
        let index = "file,image,sequence\nstrips-00000.pgm,0,7\nstrips-00000.pgm,1,8\nstrips-00001.pgm,0,9\nstrips-000";
        let mut renumbered = Renumbered::new(2);
        let rows = renumbered.rows(index).expect("an index").concat();
        let expected = "strips-00002.pgm,0,7\nstrips-00002.pgm,1,8\nstrips-00003.pgm,0,9\n";
        assert_eq!(rows, expected);
        assert_eq!(renumbered.names["strips-00001.pgm"], "strips-00003.pgm");
    }

    #[test]
    fn an_index_names_no_other_files() {
        for wrong in [
            "../strips-00000.pgm,0\n",
            "strips-../x.pgm,0\n",
            "index.csv,0\n",
        ] {
            let index = format!("file,image\n{wrong}");
            assert!(Renumbered::new(0).rows(&index).is_err(), "{wrong}");
        }
        assert_eq!(
            Renumbered::new(0).rows("").expect("nothing"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_manifests_mount_a_volume_where_the_client_keeps_them() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s/base/client/deployment.yaml");
        let text = fs::read_to_string(path).expect("a manifest");
        let mib = STRIPS_BYTES >> 20;
        for part in [
            format!("{{name: strips, mountPath: {MOUNTED}}}"),
            format!("{{name: strips, emptyDir: {{sizeLimit: {mib}Mi}}}}"),
            format!("containerPort: {OPS_PORT},"),
        ] {
            assert!(text.contains(&part), "{part}");
        }
    }
}
