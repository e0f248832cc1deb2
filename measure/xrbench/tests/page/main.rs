//! `report.html` as its readers meet it: in a browser on a desk, in the dark, on a phone and on paper, with a keyboard and
//! with a screen reader. `XR_PICTURES=DIR` keeps the pictures.

mod browser;
mod fixture;
mod live;

use std::{path::Path, process::Command, time::Instant};

use browser::{Browser, View};
use fixture::Size;
use serde_json::json;

const DESK: View = View {
    width: 1280,
    height: 900,
    scale: 1.0,
    dark: false,
    print: false,
};

/// What is wrong with the page, as its own browser sees it.
const LOOK: &str = include_str!("look.js");

fn report(folder: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_xrbench"))
        .arg("report")
        .arg(folder)
        .output()
        .expect("xrbench starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("XR_PICTURES") {
        std::fs::create_dir_all(&folder).expect("a folder for the pictures");
        std::fs::write(Path::new(&folder).join(name), bytes).expect("a picture");
    }
}

#[test]
fn the_page_can_be_read_by_everyone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let size = Size {
        runs: 8,
        seconds: 8,
    };
    let folder = fixture::make(dir.path(), size);
    let begun = Instant::now();
    report(dir.path());
    let took = begun.elapsed();
    let page = folder.report_html();
    let bytes = std::fs::metadata(&page).expect("a page").len();
    println!("report.html: {bytes} bytes, {took:?}");
    assert!(bytes < 1_500_000, "the page has {bytes} bytes");

    let mut browser = Browser::start();
    let views = [
        ("desk-light", DESK),
        ("desk-dark", View { dark: true, ..DESK }),
        (
            "phone-light",
            View {
                width: 390,
                height: 844,
                scale: 2.0,
                ..DESK
            },
        ),
        (
            "phone-dark",
            View {
                width: 390,
                height: 844,
                scale: 2.0,
                dark: true,
                ..DESK
            },
        ),
        (
            "print",
            View {
                // A4 within its margins.
                width: 703,
                height: 1010,
                print: true,
                dark: true,
                ..DESK
            },
        ),
    ];
    browser.open(&page);
    assert_eq!(
        browser.evaluate("document.title"),
        json!(format!("{}: latency", fixture::TITLE))
    );
    let mut wrong = Vec::new();
    for (name, view) in views {
        browser.look(view);
        let found = browser.evaluate(LOOK);
        let found = found.as_array().expect("a list of sentences");
        wrong.extend(found.iter().map(|one| format!("{name}: {one}")));
        let picture = browser.picture();
        assert!(picture.len() > 50_000, "{name}: {} bytes", picture.len());
        keep(&format!("{name}.png"), &picture);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    by_keyboard(&mut browser);
    by_screen_reader(&mut browser);
    browser.look(DESK);
    keep("page.pdf", &browser.pdf());
    assert_eq!(browser.complaints, Vec::<String>::new());
    assert_eq!(browser.outside(), Vec::<&str>::new());
}

/// What the browser reports is what a page asks for, so that one that loads something is seen.
#[test]
fn a_page_that_loads_something_is_seen() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let page = dir.path().join("loads.html");
    // Nothing listens on the discard port of this host: what counts is the wish.
    for (loads, url) in [
        (
            "<img src='http://127.0.0.1:9/a.png'>",
            "http://127.0.0.1:9/a.png",
        ),
        (
            "<img srcset='http://127.0.0.1:9/b.png 1x'>",
            "http://127.0.0.1:9/b.png",
        ),
        (
            "<link rel='stylesheet' href='http://127.0.0.1:9/c.css'>",
            "http://127.0.0.1:9/c.css",
        ),
        (
            "<style>@import url(http://127.0.0.1:9/d.css)</style>",
            "http://127.0.0.1:9/d.css",
        ),
    ] {
        std::fs::write(&page, format!("<!doctype html><title>x</title>{loads}")).expect("written");
        let mut browser = Browser::start();
        browser.open(&page);
        assert_eq!(browser.outside(), [url], "{loads}");
    }
}

/// Tab goes through the page in its order, begins with the way past the navigation, and reaches what scrolls or folds.
fn by_keyboard(browser: &mut Browser) {
    browser.look(DESK);
    let stops: Vec<String> = (0..40).map(|_| browser.tab()).collect();
    assert_eq!(stops[0], "A To the figures", "{stops:#?}");
    assert_eq!(stops[1], "A Verdict", "{stops:#?}");
    for stop in [
        "DIV Latency in milliseconds",
        "DIV Differences in milliseconds",
        "DIV Stages in milliseconds",
        "SUMMARY Each repetition of s1-single in figures",
        "DIV Events of s2-liqo-local",
    ] {
        assert!(stops.iter().any(|one| one == stop), "{stop} in {stops:#?}");
    }
}

/// What the browser tells a screen reader: each drawing is an image with a name and a text that has the figures.
fn by_screen_reader(browser: &mut Browser) {
    let tree = browser.ask("Accessibility.getFullAXTree", &json!({}));
    let nodes = tree["nodes"].as_array().expect("a tree");
    let of = |role: &str| -> Vec<(&str, &str)> {
        nodes
            .iter()
            .filter(|node| node["ignored"] == false && node["role"]["value"] == role)
            .map(|node| {
                let text = |key: &str| node[key]["value"].as_str().unwrap_or_default();
                (text("name"), text("description"))
            })
            .collect()
    };
    let images = of("image");
    assert!(images.len() >= 12, "{images:#?}");
    for (name, description) in &images {
        assert!(
            !name.is_empty() && !description.is_empty(),
            "{name}: {description}"
        );
    }
    let (_, boxes) = images
        .iter()
        .find(|(name, _)| name.starts_with("Latency per scenario, ours and"))
        .expect("Figure 5");
    assert!(
        boxes.contains("s4-liqo-remote") && boxes.contains("the paper 801"),
        "{boxes}"
    );
    let landmarks: Vec<usize> = ["main", "navigation", "banner", "contentinfo"]
        .map(|role| of(role).len())
        .into();
    assert_eq!(landmarks, [1, 1, 1, 1]);
    assert!(of("table").len() >= 8);
    assert!(of("table").iter().all(|(name, _)| !name.is_empty()));
}

/// What the page must say, in the words that a reader looks for.
#[test]
fn the_page_says_what_the_paper_and_the_machine_say() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let size = Size {
        runs: 3,
        seconds: 6,
    };
    let folder = fixture::make(dir.path(), size);
    report(dir.path());
    let page = std::fs::read_to_string(folder.report_html())
        .expect("a page")
        .replace("&#x2f;", "/");
    for word in [
        fixture::TITLE,
        "762",
        "794",
        "811",
        "801",
        "824",
        "202",
        "43.2",
        "31.5",
        "29.4",
        "33.5",
        "31.0",
        "62–70",
        "processes only",
        "whole virtual machines",
        "is slower than",
        "each frame crosses the WAN twice",
        "wireguard-go carried the tunnel",
        "no netem",
        "oversubscribed",
        "frankfurt-geneva",
        "seed 20240508",
        "How to repeat it",
        "xrbench run scenarios/quick.toml",
        "signalled gateway-b SIGKILL",
        "one freeze of",
        "lang=\"en\"",
    ] {
        assert!(page.contains(word), "{word:?} is missing in the page");
    }
    for never in ["<script", "src=\"", "@import", "http-equiv"] {
        assert!(!page.contains(never), "{never} is in the page");
    }
}
