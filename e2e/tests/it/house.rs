//! The house keeps its own rules: direction of dependencies, sizes of files, and what may not be written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Which of our crates each of our crates may depend on. A crate that is not here fails the test.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("settings", &[]),
    ("stamp", &[]),
    ("timeline", &[]),
    ("media", &["settings", "stamp", "timeline"]),
    ("service", &["timeline"]),
    ("testbed", &["timeline"]),
    (
        "renderer",
        &["settings", "stamp", "timeline", "media", "service"],
    ),
    ("streamer", &["settings", "timeline", "media", "service"]),
    (
        "client",
        &["settings", "stamp", "timeline", "media", "service"],
    ),
    ("result", &["settings", "timeline"]),
    ("stats", &["timeline"]),
    ("ocr", &["stamp", "result", "stats"]),
    ("collect", &["service", "timeline", "result"]),
    ("report", &["settings", "timeline", "result", "stats"]),
    (
        "xrbench",
        &[
            "settings", "stamp", "timeline", "service", "testbed", "result", "stats", "ocr",
            "report", "collect",
        ],
    ),
    ("e2e", &["stamp", "timeline", "media", "service", "testbed"]),
];

/// Crates that open no file and no socket and read no clock.
const PURE: &[&str] = &["settings", "stamp", "timeline", "stats"];

/// What the pure crates may not pull in, at any depth: sockets, runtimes, clocks of the system, media.
const NOT_PURE: &[&str] = &[
    "tokio",
    "hyper",
    "axum",
    "reqwest",
    "socket2",
    "mio",
    "nix",
    "gstreamer",
    "tracing",
];

/// Hard stop for a source file, in lines.
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e lies in the workspace")
        .to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn members(metadata: &Value) -> BTreeMap<&str, &Value> {
    let ids: Vec<_> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| ids.contains(&&package["id"]))
        .map(|p| (p["name"].as_str().unwrap(), p))
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let members = members(&metadata);
    let allowed: BTreeMap<_, _> = MAY_DEPEND_ON.iter().copied().collect();
    for (name, package) in &members {
        let allowed = allowed
            .get(name)
            .unwrap_or_else(|| panic!("crate {name} has no place in the direction"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = dependency["name"].as_str().unwrap();
            let is_test = dependency["kind"] == "dev";
            if members.contains_key(to) && !is_test {
                assert!(allowed.contains(&to), "{name} may not depend on {to}");
            }
        }
    }
    assert_eq!(members.len(), allowed.len(), "a crate named here is gone");
}

#[test]
fn folder_and_crate_have_one_name() {
    for (name, package) in members(&metadata()) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        assert_eq!(manifest.parent().unwrap().file_name().unwrap(), name);
    }
}

#[test]
fn pure_crates_stay_pure() {
    let metadata = metadata();
    let resolve: BTreeMap<_, _> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let names: BTreeMap<_, _> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
            )
        })
        .collect();
    for (name, package) in members(&metadata) {
        if !PURE.contains(&name) {
            continue;
        }
        let mut todo = vec![package["id"].as_str().unwrap()];
        let mut seen = Vec::new();
        while let Some(id) = todo.pop() {
            for dependency in resolve[id]["deps"].as_array().unwrap() {
                let normal = dependency["dep_kinds"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|kind| kind["kind"].is_null());
                let to = dependency["pkg"].as_str().unwrap();
                if normal && !seen.contains(&to) {
                    assert!(
                        !NOT_PURE.contains(&names[to]),
                        "{name} is pure, but reaches {}",
                        names[to]
                    );
                    seen.push(to);
                    todo.push(to);
                }
            }
        }
    }
}

/// Crates that must build and run without what is named, at any depth: substrings of the names of crates.
const WITHOUT: &[(&str, &[&str])] = &[
    ("xrbench", &["gstreamer"]),
    ("collect", &["gstreamer", "testbed", "tesseract"]),
    ("result", &["gstreamer", "tokio", "testbed", "tesseract"]),
    ("report", &["gstreamer", "tokio", "testbed", "tesseract"]),
];

#[test]
fn crates_do_without_what_their_place_does_not_have() {
    for (name, unwanted) in WITHOUT {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "-p", name, "-e", "normal", "--prefix", "none"])
            .args(["--locked", "--offline"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tree = String::from_utf8_lossy(&output.stdout);
        for unwanted in *unwanted {
            let found = tree.lines().find(|line| line.contains(unwanted));
            assert_eq!(found, None, "{name} must build without {unwanted}");
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        if entry.is_dir() && !["target", "media", "results", ".git"].contains(&name.as_str()) {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut files = Vec::new();
    sources(&root(), &mut files);
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        let file = file.strip_prefix(root()).unwrap().display();
        assert!(
            lines <= LINES_MAX,
            "{file} has {lines} lines, more than {LINES_MAX}"
        );
        let opening = text.trim_start_matches("#![no_main]").trim_start();
        assert!(
            opening.starts_with("//!"),
            "{file} does not open with //! and what it is for"
        );
    }
}
