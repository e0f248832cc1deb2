//! Tesseract on strips, as a child process: whether the line as drawn is one that it can read after the codec.

use std::fs;
use std::process::Command;

use stamp::{STRIP_HEIGHT, STRIP_WIDTH, Stamp, line};

/// How Tesseract did.
pub(crate) struct Found {
    /// Lines read as drawn.
    pub(crate) right: usize,
    /// Lines whose check digits held for another stamp.
    pub(crate) wrong: usize,
    /// The others: what was drawn, and what was read.
    pub(crate) unread: Vec<String>,
}

/// Reads all strips with one process, and holds each against the stamp that was drawn.
pub(crate) fn read(strips: &[(Stamp, Vec<u8>)]) -> Found {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut list = Vec::new();
    for (index, (_, strip)) in strips.iter().enumerate() {
        let path = folder.path().join(format!("{index:05}.pgm"));
        let mut image = format!("P5 {STRIP_WIDTH} {STRIP_HEIGHT} 255\n").into_bytes();
        image.extend_from_slice(strip);
        fs::write(&path, image).expect("room for strips in the temporary folder");
        list.push(path.display().to_string());
    }
    let paths = folder.path().join("list.txt");
    fs::write(&paths, list.join("\n") + "\n").expect("room for the list in the temporary folder");
    let output = Command::new("tesseract")
        .arg(&paths)
        .args(["-", "--oem", "1", "--psm", "7"])
        .args([
            "-c",
            "tessedit_char_whitelist=0123456789",
            "-c",
            "user_defined_dpi=300",
        ])
        .args([
            "-c",
            "load_system_dawg=0",
            "-c",
            "load_freq_dawg=0",
            "-c",
            "tessedit_do_invert=0",
        ])
        .args(["-c", "page_separator=;"])
        .env("OMP_THREAD_LIMIT", "1")
        .output()
        .expect("tesseract must be installed: apt-get install tesseract-ocr, or make deps");
    assert!(
        output.status.success(),
        "tesseract: {}",
        String::from_utf8_lossy(&output.stderr)
    );

    let text = String::from_utf8_lossy(&output.stdout);
    let mut found = Found {
        right: 0,
        wrong: 0,
        unread: Vec::new(),
    };
    for ((truth, _), read) in strips.iter().zip(text.split(';')) {
        match line::parse(read) {
            Ok(stamp) if stamp == *truth => found.right += 1,
            Ok(_) => found.wrong += 1,
            Err(_) => found
                .unread
                .push(format!("{} as {:?}", line::format(*truth), read.trim())),
        }
    }
    found
}
