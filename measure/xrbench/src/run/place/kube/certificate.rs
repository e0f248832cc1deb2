//! The streamer's certificate on its way into a cluster: a Secret, which its pod mounts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cluster::RUN_LABEL;
use serde_json::{Value, json};

use crate::run::addresses::IdentityFiles;

/// The name of the Secret, as `k8s/components/quic/streamer` has it.
const SECRET: &str = "quic-certificate";

/// Where the streamer's pod sees it.
const MOUNTED: &str = "/run/secrets/xrbench/quic";

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(super) struct Certificate {
    chain: String,
    key: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the files.
    pub(super) fn read(files: &IdentityFiles) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self {
            chain: read(&files.certificate)?,
            key: read(&files.key)?,
        })
    }

    /// Words in the place of what a run makes, for `--dry-run` and to ask for rights.
    pub(super) fn unknown() -> Self {
        Self {
            chain: "<certificate>".to_owned(),
            key: "<key>".to_owned(),
        }
    }

    /// The Secret of a run.
    pub(super) fn secret(&self, run: &str, namespace: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": SECRET,
                "namespace": namespace,
                "labels": {RUN_LABEL: run, "app.kubernetes.io/part-of": "xrbench"},
            },
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": self.chain, "tls.key": self.key},
        })
    }
}

/// The files as the streamer's pod sees them.
pub(super) fn mounted(pin: String) -> IdentityFiles {
    let folder = Path::new(MOUNTED);
    IdentityFiles {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        // No feed comes over QUIC there.
        token: PathBuf::new(),
        pin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_mount_the_secret_where_the_streamer_looks() {
        let component = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../k8s/components/quic/streamer/kustomization.yaml");
        let text = fs::read_to_string(component).expect("a component");
        let files = mounted("pin".to_owned());
        for part in [
            format!("secretName: {SECRET}"),
            format!("mountPath: {MOUNTED},"),
            format!("value: {}", files.certificate.display()),
            format!("value: {}", files.key.display()),
        ] {
            assert!(text.contains(&part), "{part}");
        }
    }

    #[test]
    fn a_key_is_in_its_secret_and_in_no_log() {
        let held = Certificate {
            chain: "a chain".to_owned(),
            key: "a key".to_owned(),
        };
        assert_eq!(held.secret("r", "n")["stringData"]["tls.key"], "a key");
        assert!(!format!("{held:?}").contains("a key"));
    }
}
