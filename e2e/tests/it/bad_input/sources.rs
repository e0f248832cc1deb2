//! Renderers whose source is no video.

use e2e::{Sandbox, binary, run, video};

use crate::tools::{PATIENCE, text};

async fn render(source: &str, size: &str) -> e2e::Finished {
    let args = [
        "--source",
        source,
        "--feed",
        "http://127.0.0.1:1/feeds/f",
        "--size",
        size,
        "--fps",
        "30",
        "--bitrate",
        "2M",
        "--ops",
        "127.0.0.1:0",
    ];
    run(binary("xr-renderer"), &args, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file() {
    render("file:/nowhere/film.mp4", "640x360")
        .await
        .refused(1, &["/nowhere/film.mp4", "--source"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file() {
    let sandbox = Sandbox::shared();
    let whole = std::fs::read(video()).expect("the video");
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect();
    let kinds: [(&str, &[u8]); 3] = [
        ("noise.mp4", &noise),
        ("empty.mp4", &[]),
        ("cut.mp4", &whole[..40_000]),
    ];
    for (name, bytes) in kinds {
        let file = sandbox.path(name);
        std::fs::write(&file, bytes).expect("a file");
        let finished = render(&format!("file:{}", text(&file)), "640x360").await;
        finished.refused(1, &[name, "--source"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_video() {
    let sandbox = Sandbox::shared();
    let file = text(&sandbox.path("sound.m4a"));
    let make = [
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=2",
        "-c:a",
        "aac",
        &file,
    ];
    run("ffmpeg", &make, PATIENCE).await.well();
    render(&format!("file:{file}"), "640x360")
        .await
        .refused(1, &["sound.m4a", "video", "--source"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_are_none() {
    render("gst:nosuchelement ! fakesink", "640x360")
        .await
        .refused(1, &["nosuchelement", "--source"]);
    render("http://h/film", "640x360")
        .await
        .refused(64, &["--source", "file:", "test", "gst:"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_cannot_carry_a_stamp() {
    for size in ["638x360", "640x358", "320x180", "0x0"] {
        render("test", size)
            .await
            .refused(64, &["--size", size, "640x360"]);
    }
    render("test", "wide")
        .await
        .refused(64, &["--size", "wide", "1280x720"]);
    render("test", "641x361")
        .await
        .refused(64, &["--size", "641x361", "even"]);
}
