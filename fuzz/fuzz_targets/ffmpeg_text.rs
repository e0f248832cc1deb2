//! Any text as what ffmpeg writes of its progress, and as what ffprobe prints of a video: a pace is a number above zero, and the
//! pictures counted are those of the one film that has room for the lines.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ocr::pictures;
use serde_json::json;
use xrbench::reference::pace;

const FILM: &str = "film.mp4";

fuzz_target!(|input: (&str, u32, u32, u64, (u16, u16))| {
    let (text, width, height, packets, least) = input;
    if let Some(pace) = pace(text) {
        assert!(pace.is_finite() && pace > 0.0);
    }
    let least = (usize::from(least.0), usize::from(least.1));
    let read = |printed: &str| pictures(printed.as_bytes(), Path::new(FILM), least);
    if let Err(error) = read(text) {
        assert!(error.to_string().contains(FILM));
    }
    let film = json!({
        "codec_name": text, "width": width, "height": height, "nb_read_packets": packets.to_string(),
    });
    let (across, down) = (width as usize, height as usize);
    let lies = across >= least.0 && down >= least.1;
    let stands = down >= least.0 && across >= least.1;
    let one = read(&json!({ "streams": [film] }).to_string());
    assert_eq!(one.ok(), (lies || stands).then_some(packets));
    let two = read(&json!({ "streams": [film, film] }).to_string());
    assert!(two.expect_err("which of them?").to_string().contains(text));
});
