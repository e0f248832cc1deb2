//! Manifests become objects: an overlay of `k8s/`, copied into a temporary folder and rendered by kubectl.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use settings::ClusterName;
use tempfile::TempDir;
use tokio::process::Command;

use crate::fault::Fault;
use crate::objects::{Objects, RUN_LABEL, is_of_run};

/// The folder of the manifests, as a checkout has it.
pub const MANIFESTS: &str = "k8s";

/// The first version of kubectl whose kustomize labels templates.
const KUBECTL_MINOR: u32 = 27;

/// An overlay, and the cluster that it is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The cluster that it is applied to.
    pub cluster: ClusterName,
    /// The folder of the overlay, below `overlays` in the folder of the manifests.
    pub path: &'static str,
}

/// Where images come from, in the place of what the manifests say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images {
    /// What stands before `/renderer` and so on: `registry.example/xrbench`.
    pub prefix: Option<String>,
    /// The tag.
    pub tag: Option<String>,
}

/// The programs that have an image.
const PROGRAMS: [&str; 5] = ["renderer", "streamer", "client", "collector", "reference"];

/// What an overlay is rendered with.
#[derive(Clone, Debug)]
pub struct Rendering<'a> {
    /// The folder of the manifests.
    pub manifests: &'a Path,
    /// The run's id, which labels everything.
    pub run: &'a str,
    /// The namespace that everything is in.
    pub namespace: &'a str,
    /// Where images come from.
    pub images: &'a Images,
    /// The address of a node of cluster B, for overlays that ask for one.
    pub far_node: Option<&'a str>,
    /// A folder below `components` that changes each overlay.
    pub component: Option<&'a str>,
}

impl Rendering<'_> {
    /// Renders an overlay.
    pub async fn objects(&self, overlay: Overlay) -> Result<Objects, Fault> {
        let source = self.manifests.join("overlays").join(overlay.path);
        let object = format!("overlay {}", source.display());
        let wrong = |why: String, remedy: &str| {
            Fault::new(overlay.cluster, object.clone(), "", why, remedy)
        };
        if !source.join("kustomization.yaml").is_file() {
            let remedy = "Name the folder k8s of a checkout with --manifests.";
            return Err(wrong("there is no such overlay".to_owned(), remedy));
        }
        let folder = self.lay_out(overlay).map_err(|error| {
            let why = format!("cannot be copied: {error}");
            wrong(why, "Is the temporary folder (TMPDIR) writable?")
        })?;
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("kustomize").arg(folder.path().join("k8s/run"));
        let output = kubectl.kill_on_drop(true).output().await;
        let output = output
            .map_err(|error| Fault::here("kubectl", "", error.to_string(), INSTALL_KUBECTL))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let remedy = "`kubectl kustomize` of the overlay says the same; mend the manifests.";
            return Err(wrong(said, remedy));
        }
        let objects = Objects::parse(&String::from_utf8_lossy(&output.stdout))
            .map_err(|why| wrong(why, "Mend the manifests."))?;
        // What had no label could never be found again.
        if let Some(bare) = objects.in_order().find(|one| !is_of_run(one, self.run)) {
            let why = format!("an object has no label {RUN_LABEL}: {bare}");
            return Err(wrong(why, "Is its kind in the labels of kustomize?"));
        }
        Ok(objects)
    }

    /// A copy of the manifests, and beside its overlays a folder `run` that adds what is this run's.
    fn lay_out(&self, overlay: Overlay) -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("xrbench-k8s-").tempdir()?;
        let copy = folder.path().join("k8s");
        copy_folder(self.manifests, &copy)?;
        if let Some(address) = self.far_node {
            let env = copy
                .join("overlays")
                .join(overlay.path)
                .join("cluster-b.env");
            if env.is_file() {
                fs::write(&env, with_address(&fs::read_to_string(&env)?, address))?;
            }
        }
        let run = copy.join("run");
        fs::create_dir(&run)?;
        fs::write(run.join("kustomization.yaml"), self.kustomization(overlay))?;
        Ok(folder)
    }

    fn kustomization(&self, overlay: Overlay) -> String {
        let mut text = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {}\n\
             resources: [../overlays/{}]\nlabels:\n  - pairs: {{{RUN_LABEL}: \"{}\"}}\n    includeSelectors: false\n    \
             includeTemplates: true\n",
            self.namespace, overlay.path, self.run
        );
        if let Some(component) = self.component {
            text.push_str(&format!("components: [../components/{component}]\n"));
        }
        if self.images.prefix.is_none() && self.images.tag.is_none() {
            return text;
        }
        text.push_str("images:\n");
        for program in PROGRAMS {
            text.push_str(&format!("  - name: xrbench/{program}\n"));
            if let Some(prefix) = &self.images.prefix {
                text.push_str(&format!("    newName: {prefix}/{program}\n"));
            }
            if let Some(tag) = &self.images.tag {
                text.push_str(&format!("    newTag: \"{tag}\"\n"));
            }
        }
        text
    }
}

const INSTALL_KUBECTL: &str = "Install kubectl 1.27 or newer (https://kubernetes.io/docs/tasks/tools): it renders the manifests.";

/// Whether kubectl is there, and new enough.
pub(crate) async fn check_kubectl() -> Result<(), Fault> {
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["version", "--client", "--output=json"]);
    let wrong = |field: &str, why: String| Fault::here("kubectl", field, why, INSTALL_KUBECTL);
    let output = kubectl.kill_on_drop(true).output().await;
    let output = output.map_err(|error| wrong("", error.to_string()))?;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let minor = said["clientVersion"]["minor"].as_str().unwrap_or_default();
    let minor = minor.trim_end_matches(|c: char| !c.is_ascii_digit());
    match minor.parse::<u32>() {
        Ok(minor) if minor >= KUBECTL_MINOR => Ok(()),
        Ok(minor) => Err(wrong("version", format!("it is 1.{minor}"))),
        Err(_) => Err(wrong("version", "it does not say its version".to_owned())),
    }
}

/// The lines `host=` and `ops-host=` with another address.
fn with_address(env: &str, address: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key @ ("host" | "ops-host"), _)) => format!("{key}={address}\n"),
        _ => format!("{line}\n"),
    };
    env.lines().map(line).collect()
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s")
    }

    #[tokio::test]
    async fn an_overlay_gets_the_runs_name_images_and_address() {
        let images = Images {
            prefix: Some("registry.example/xr".into()),
            tag: Some("7".into()),
        };
        let manifests = manifests();
        let rendering = Rendering {
            manifests: &manifests,
            run: "r1",
            namespace: "xrbench-r1",
            images: &images,
            far_node: Some("10.9.8.7"),
            component: None,
        };
        let overlay = Overlay {
            cluster: ClusterName::A,
            path: "s3-nodeport-local/cluster-a",
        };
        let objects = rendering.objects(overlay).await.expect("objects");
        assert!(objects.find("Namespace", "xrbench-r1").is_some());
        for object in objects.in_order() {
            let metadata = &object["metadata"];
            assert_eq!(metadata["labels"][RUN_LABEL], "r1", "{object}");
            let is_in = object["kind"] == "Namespace" || metadata["namespace"] == "xrbench-r1";
            assert!(is_in, "{object}");
        }
        let maps: Vec<_> = objects.of_kind("ConfigMap").collect();
        assert_eq!(maps.len(), 1);
        assert_eq!(maps[0]["data"]["host"], "10.9.8.7");
        assert_eq!(maps[0]["data"]["ops-host"], "10.9.8.7");
        assert_eq!(maps[0]["data"]["feed-port"], "30080");
        let images = objects.images();
        assert_eq!(images.len(), 3, "{images:?}");
        assert!(
            images
                .iter()
                .all(|image| image.starts_with("registry.example/xr/") && image.ends_with(":7")),
            "{images:?}"
        );
    }

    /// ffmpeg in the place of renderer and client, with the run's images; the other cluster has neither, and stays as it is.
    #[tokio::test]
    async fn a_component_changes_what_it_finds() {
        let images = Images {
            prefix: None,
            tag: Some("7".into()),
        };
        let manifests = manifests();
        let rendering = Rendering {
            manifests: &manifests,
            run: "r1",
            namespace: "xrbench-r1",
            images: &images,
            far_node: None,
            component: Some("reference"),
        };
        let of = async |cluster, path| {
            let objects = rendering.objects(Overlay { cluster, path }).await;
            objects.expect("objects")
        };
        let near = of(ClusterName::A, "s3-nodeport-local/cluster-a").await;
        for name in ["renderer", "client"] {
            let workload = near.find("Deployment", name).expect(name);
            let containers = &workload["spec"]["template"]["spec"]["containers"];
            assert_eq!(containers[0]["name"], name);
            assert_eq!(containers[0]["image"], "xrbench/reference:7");
            assert_eq!(containers[1]["image"], "xrbench/collector:7");
            assert!(containers[0]["readinessProbe"].is_null(), "{containers}");
        }
        let far = of(ClusterName::B, "s3-nodeport-local/cluster-b").await;
        let images = far.images();
        assert_eq!(images.iter().collect::<Vec<_>>(), ["xrbench/streamer:7"]);
    }

    #[tokio::test]
    async fn an_overlay_that_is_not_there_is_named_with_the_flag() {
        let images = Images::default();
        let rendering = Rendering {
            manifests: Path::new("/nowhere"),
            run: "r1",
            namespace: "x",
            images: &images,
            far_node: None,
            component: None,
        };
        let overlay = Overlay {
            cluster: ClusterName::A,
            path: "s1-single",
        };
        let fault = rendering.objects(overlay).await.expect_err("nowhere");
        let text = fault.to_string();
        assert!(
            text.contains("/nowhere/overlays/s1-single") && text.contains("--manifests"),
            "{text}"
        );
    }
}
