//! A recording shows every frame with both stamps.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use stamp::Plane;

use crate::client::{Client, await_rows};
use crate::server::{HEIGHT, Options, Server, WIDTH};

fn records(suffix: &str) {
    let server = Server::start(Options::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(format!("shown.{suffix}"));
    let sink = format!("record:{}", file.display());
    let frames = directory.path().join("frames.csv");
    let flags = ["--sink", &sink, "--frames", frames.to_str().unwrap()];
    let client = Client::start(&server.url(), &flags);
    await_rows(&frames, "frames are shown", |rows| rows.len() > 60);
    let ended = client.terminate();
    assert!(ended.status.success(), "{}", ended.stderr);
    let summary = ended.summary();
    let screened = summary["records"]["screened"].as_u64().unwrap();
    assert!(screened > 30, "{summary}");

    gst::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! decodebin ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=out sync=false",
        file.display()
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let out = pipeline
        .by_name("out")
        .unwrap()
        .downcast::<gst_app::AppSink>()
        .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut pictures = 0;
    let mut last = None;
    while let Ok(sample) = out.pull_sample() {
        let map = sample.buffer().unwrap().map_readable().unwrap();
        let luma = Plane::new(&map, WIDTH, HEIGHT, WIDTH).unwrap();
        let stamp = stamp::read_blocks(&luma).unwrap();
        assert!(last.is_none_or(|last| last < stamp.frame), "in order");
        last = Some(stamp.frame);
        let mut consumption = Vec::new();
        stamp::strip(&luma, stamp::Line::Consumption, &mut consumption);
        let dark = consumption.iter().filter(|pixel| **pixel < 100).count();
        assert!(
            (300..consumption.len() / 2).contains(&dark),
            "{dark} dark pixels"
        );
        pictures += 1;
    }
    pipeline.set_state(gst::State::Null).unwrap();
    assert_eq!(pictures, screened);
}

#[test]
fn as_matroska() {
    records("mkv");
}

#[test]
fn as_mp4() {
    records("mp4");
}
