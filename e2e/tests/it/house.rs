//! The house keeps its own rules: direction of dependencies, sizes of files, and what may not be written.

mod modules;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The crates of this workspace that each crate may depend on. A crate that is not here fails the test.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("settings", &[]),
    ("stamp", &[]),
    ("timeline", &[]),
    ("media", &["settings", "stamp", "timeline"]),
    ("roq", &["settings"]),
    ("service", &["settings", "timeline"]),
    ("testbed", &["timeline"]),
    ("cluster", &["settings"]),
    (
        "renderer",
        &["settings", "stamp", "timeline", "media", "roq", "service"],
    ),
    (
        "streamer",
        &["settings", "timeline", "media", "roq", "service"],
    ),
    (
        "client",
        &["settings", "stamp", "timeline", "media", "roq", "service"],
    ),
    ("lisp", &["settings", "timeline", "service", "cluster"]),
    ("result", &["settings", "timeline"]),
    ("stats", &["timeline"]),
    ("ocr", &["settings", "stamp", "result", "stats"]),
    ("collect", &["service", "timeline", "result"]),
    ("report", &["settings", "timeline", "result", "stats"]),
    (
        "provision",
        &[
            "settings", "timeline", "service", "cluster", "result", "report",
        ],
    ),
    (
        "xrbench",
        &[
            "settings",
            "stamp",
            "timeline",
            "roq",
            "service",
            "testbed",
            "result",
            "stats",
            "ocr",
            "report",
            "collect",
            "cluster",
            "provision",
        ],
    ),
    (
        "e2e",
        &[
            "roq", "settings", "stamp", "timeline", "media", "service", "testbed", "result",
        ],
    ),
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

/// Circles of modules that are kept, each with its reason; any other fails the test.
const KEPT_CIRCLES: &[(&str, &[&str], &str)] = &[];

/// Every parser of bytes that others wrote, and the fuzz target that drives it.
const PARSERS: &[(&str, &str)] = &[
    ("crates/cluster/src/cadvisor.rs", "proc_text"),
    ("crates/media/src/framing.rs", "rtp_feed"),
    ("crates/media/src/h264.rs", "h264"),
    ("crates/media/src/rtp.rs", "rtp_feed"),
    ("crates/roq/src/framing.rs", "roq"),
    ("crates/roq/src/signal.rs", "roq"),
    ("crates/roq/src/varint.rs", "roq"),
    ("crates/service/src/process.rs", "proc_text"),
    ("crates/stamp/src/blocks.rs", "read_blocks"),
    ("crates/stamp/src/line.rs", "line_parse"),
    ("crates/testbed/src/cgroup/hierarchy.rs", "proc_text"),
    ("crates/testbed/src/resources/cgroup.rs", "proc_text"),
    ("crates/testbed/src/resources/net.rs", "proc_text"),
    ("crates/testbed/src/resources/proc.rs", "proc_text"),
    ("crates/testbed/src/wan/link/model.rs", "wan_link"),
    ("crates/testbed/src/wan/link/queue.rs", "wan_link"),
    ("crates/timeline/src/clock_exchange.rs", "collector_report"),
    ("crates/timeline/src/frame.rs", "collector_report"),
    ("crates/timeline/src/frames_csv.rs", "result_files"),
    ("crates/timeline/src/hist/log.rs", "result_files"),
    ("crates/timeline/src/join.rs", "collector_report"),
    ("crates/timeline/src/trace.rs", "collector_report"),
    ("lisp/src/data/decap.rs", "lisp_data"),
    ("lisp/src/data/header.rs", "lisp_data"),
    ("lisp/src/data/packet.rs", "lisp_data"),
    ("lisp/src/wire/address.rs", "lisp_control"),
    ("lisp/src/wire/encapsulated.rs", "lisp_control"),
    ("lisp/src/wire/identity.rs", "lisp_control"),
    ("lisp/src/wire/message.rs", "lisp_control"),
    ("lisp/src/wire/record.rs", "lisp_control"),
    ("lisp/src/wire/reply.rs", "lisp_control"),
    ("lisp/src/wire/request.rs", "lisp_control"),
    ("lisp/src/wire/signed.rs", "lisp_control"),
    ("measure/collect/src/core.rs", "collector_report"),
    ("measure/collect/src/reports.rs", "collector_report"),
    ("measure/ocr/src/pgm.rs", "result_files"),
    ("measure/ocr/src/video.rs", "ffmpeg_text"),
    ("measure/result/src/machine.rs", "proc_text"),
    ("measure/result/src/repetition.rs", "result_files"),
    ("measure/result/src/rows/mod.rs", "result_files"),
    ("measure/result/src/run.rs", "result_files"),
    ("measure/xrbench/src/calibrate/wire.rs", "pcap_wire"),
    ("measure/xrbench/src/reference/pace.rs", "ffmpeg_text"),
    ("measure/xrbench/src/run/host.rs", "proc_text"),
    ("renderer/src/feed/events.rs", "event_stream"),
    ("streamer/src/feed/assembler.rs", "rtp_feed"),
    ("streamer/src/feed/name.rs", "media_type"),
    ("streamer/src/feed/parameters.rs", "h264"),
    ("streamer/src/feed/sequence.rs", "rtp_feed"),
    ("streamer/src/ingest/media_type.rs", "media_type"),
    ("streamer/src/ingest/reorder.rs", "reorder"),
    ("streamer/src/ingest/ts_bounds.rs", "media_type"),
    ("streamer/src/rtsp/beginning.rs", "media_type"),
    ("streamer/src/rtsp/rtcp.rs", "media_type"),
    ("streamer/src/rtsp/transport.rs", "media_type"),
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

#[test]
fn no_two_modules_import_each_other() {
    let mut found = Vec::new();
    for (name, package) in members(&metadata()) {
        for root in library_roots(package) {
            let circles = circles_of(&root);
            let kept = |circle: &BTreeSet<String>| {
                KEPT_CIRCLES
                    .iter()
                    .any(|(of, names, _)| *of == name && circle.iter().eq(names.iter()))
            };
            for (circle, edges) in circles.iter().filter(|(circle, _)| !kept(circle)) {
                found.push(format!("{name}: {circle:?}\n    {}", edges.join("\n    ")));
            }
        }
    }
    assert!(
        found.is_empty(),
        "modules that import each other, directly or around a circle; move what both need to a third:\n{}",
        found.join("\n")
    );
}

/// The circles among a crate's modules and among its folders, each with its imports.
fn circles_of(root: &Path) -> Vec<(BTreeSet<String>, Vec<String>)> {
    let imports = modules::Modules::read(root).imports();
    let mut graphs = modules::between_siblings(&imports);
    graphs.push(imports);
    let mut found: Vec<(BTreeSet<String>, Vec<String>)> = Vec::new();
    for graph in &graphs {
        for circle in modules::circles(graph) {
            let edges = graph
                .iter()
                .flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
                .filter(|(from, to)| from != to && circle.contains(*from) && circle.contains(*to))
                .map(|(from, to)| format!("{from} -> {to}"))
                .collect();
            if found.iter().all(|(known, _)| *known != circle) {
                found.push((circle, edges));
            }
        }
    }
    found
}

/// The root files of a package's library and programs.
fn library_roots(package: &Value) -> Vec<PathBuf> {
    let targets = package["targets"].as_array().unwrap().iter();
    targets
        .filter(|target| {
            let kinds = target["kind"].as_array().unwrap();
            kinds.iter().any(|kind| kind == "lib" || kind == "bin")
        })
        .map(|target| PathBuf::from(target["src_path"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_circle_is_found_and_a_re_export_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a; mod b; mod c; pub use a::A;");
    write("a.rs", "use crate::b::B; pub struct A(B);");
    write(
        "b.rs",
        "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
    );
    write("c.rs", "use crate::A; pub fn c(_: A) {}");
    let circles = || -> Vec<_> {
        let found = circles_of(&folder.path().join("lib.rs"));
        found.into_iter().map(|(circle, _)| circle).collect()
    };
    let names = |names: &[&str]| {
        let owned = names.iter().map(|name| (*name).to_owned());
        owned.collect::<BTreeSet<_>>()
    };
    assert!(circles().is_empty(), "{:?}", circles());
    // Through the root's re-export, and inside a macro's tokens.
    write(
        "b.rs",
        "pub struct B; fn b() { println!(\"{}\", crate::A::NAME); }",
    );
    assert_eq!(circles(), vec![names(&["a", "b"])]);
    // Between folders, of which no two files import each other.
    std::fs::create_dir(folder.path().join("a")).unwrap();
    write("a.rs", "pub mod one; pub mod two; pub struct A;");
    write("a/one.rs", "use crate::b::B;");
    write("a/two.rs", "");
    write("b.rs", "use crate::a::two; pub struct B;");
    assert_eq!(circles(), vec![names(&["a", "b"])]);
    // Between a parent and a child whose item it re-exports: whether the parent uses it decides, in whatever way.
    write(
        "b.rs",
        "use super::Root; pub struct B; pub const C: u8 = 0;",
    );
    let own = "pub struct Root; mod b; pub use b::{B, C};";
    for (text, is_circle) in [
        (String::from(own), false),
        (format!("{own} pub struct Uses(Option<B>);"), true),
        (format!("{own} fn uses() {{ drop(B::default()); }}"), true),
        (format!("{own} fn uses() {{ assert_eq!([C], [0]); }}"), true),
        (
            format!("{own} fn is(n: u8) -> bool {{ match n {{ C => true, _ => false }} }}"),
            true,
        ),
        (
            format!("{own} #[cfg(test)] mod tests {{ use super::B; fn b(_: B) {{}} }}"),
            false,
        ),
        (String::from("pub struct Root; mod b; pub use b::*;"), true),
    ] {
        write("lib.rs", &text);
        let wanted = is_circle.then(|| names(&["(root)", "b"]));
        assert_eq!(circles(), wanted.into_iter().collect::<Vec<_>>(), "{text}");
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

#[test]
fn every_parser_has_a_fuzz_target_and_every_target_a_parser() {
    let mut targets = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        targets.insert(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    for (parser, target) in PARSERS {
        assert!(root().join(parser).is_file(), "{parser} is gone");
        assert!(
            targets.contains(*target),
            "{parser} is driven by {target}, which is no target"
        );
    }
    let read = |name: &str| std::fs::read_to_string(root().join("fuzz").join(name)).unwrap();
    let (manifest, guide) = (read("Cargo.toml"), read("README.md"));
    for target in &targets {
        assert!(
            PARSERS.iter().any(|(_, of)| of == target),
            "{target} is not in the list of parsers"
        );
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target} is not built"
        );
        assert!(
            guide.contains(&format!("`{target}`")),
            "{target} is not in fuzz/README.md"
        );
    }
}
