//! Scripts in namespaces of their own, which end with them.

use std::collections::BTreeMap;
use std::process::Command;

/// Runs a script beside this file as root of new namespaces; what it prints as NAME=VALUE.
pub(crate) fn run(script: &str) -> BTreeMap<String, String> {
    let script = format!("{}/tests/it/{script}", env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "bash",
            &script,
        ])
        .arg(env!("CARGO_BIN_EXE_xr-lisp"))
        .arg(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{error}");
    let found = told.lines().filter_map(|line| line.split_once('='));
    let found = found.map(|(name, value)| (name.to_owned(), value.to_owned()));
    found.collect()
}
