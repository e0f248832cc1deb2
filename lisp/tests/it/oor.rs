//! Debian's Open Overlay Router as xTRs of our Map-Server: they register, find each other, and follow a solicitation.

use std::collections::BTreeMap;
use std::process::Command;

/// Runs the script in namespaces that end with it; what it found, by name.
fn run() -> BTreeMap<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oor.sh");
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
            script,
        ])
        .args([env!("CARGO_BIN_EXE_xr-lisp")])
        .arg(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{error}");
    let found = told.lines().filter_map(|line| line.split_once('='));
    found
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn open_overlay_router_registers_asks_and_is_repointed() {
    let found = run();
    eprintln!("{found:#?}");
    let number = |name: &str| found[name].parse::<u64>().unwrap();
    assert!(number("registered") >= 2, "both xTRs have registered");
    assert!(
        number("pings") >= 1,
        "data pass between the sites, both ways"
    );
    assert!(number("map_reply") >= 2, "each asked for the other");
    assert!(number("repoint_us") < 1_000_000, "{}", found["repoint_us"]);
    assert_eq!(
        found["wrong"], "",
        "tshark finds nothing wrong with what was sent"
    );
    assert_eq!(
        found["refused"], "",
        "and the Map-Server nothing with what came"
    );
}
