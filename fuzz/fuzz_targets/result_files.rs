//! Any bytes as a file of a result: what is read of it is written and read again as it was, a line that was cut off takes no
//! other with it, and no more is read than there is.
#![no_main]

use std::fmt::Debug;
use std::io::Write as _;

use base64::Engine as _;
use flate2::{Compression, write::ZlibEncoder};
use libfuzzer_sys::fuzz_target;
use ocr::pgm::PgmReader;
use result::rows::{self, EventRow, HostRow, OcrRow, ResourceRow};
use result::{RepetitionMeta, RunInfo};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use timeline::UnixMicros;
use timeline::frames_csv::{COLUMNS, FrameReader, FrameWriter};
use timeline::hist::{Intervals, LogWriter};

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    match kind % 11 {
        0 => frames(bytes),
        1 => frames(&[COLUMNS.join(",").as_bytes(), b"\n", bytes].concat()),
        2 => log(bytes),
        3 => log(&interval(bytes)),
        4 => table::<EventRow>(bytes),
        5 => table::<HostRow>(bytes),
        6 => table::<OcrRow>(bytes),
        7 => table::<ResourceRow>(bytes),
        8 => json::<RunInfo>(bytes),
        9 => json::<RepetitionMeta>(bytes),
        _ => images(bytes),
    }
});

/// Reads bytes as `frames.csv`.
fn frames(bytes: &[u8]) {
    let Ok(reader) = FrameReader::new(bytes) else {
        return;
    };
    let rows: Vec<_> = reader.filter_map(Result::ok).collect();
    assert!(rows.len() <= lines(bytes));
    let mut writer = FrameWriter::begin(Vec::new()).expect("memory takes all");
    for row in &rows {
        writer.write(row).expect("memory takes all");
    }
    let written = writer.into_inner();
    let reader = FrameReader::new(&written[..]).expect("it was written a moment ago");
    let again: Vec<_> = reader.map(|row| row.expect("as it was written")).collect();
    assert_eq!(again, rows);
}

/// Reads bytes as `latency.hlog`.
fn log(bytes: &[u8]) {
    let mut read = 0;
    for interval in Intervals::new(bytes) {
        read += 1;
        let Ok(interval) = interval else { continue };
        assert!(interval.from_seconds >= 0.0 && interval.length_seconds >= 0.0);
        let mut writer = LogWriter::begin(Vec::new(), UnixMicros(0)).expect("memory takes all");
        writer
            .write(None, UnixMicros(0), UnixMicros(1), &interval.histogram)
            .expect("memory takes all");
        let written = writer.into_inner();
        let again = Intervals::new(&written).merged(None).expect("as written");
        assert_eq!(again.count(), interval.histogram.count());
        assert_eq!(again.figures(), interval.histogram.figures());
        assert!(again.buckets().eq(interval.histogram.buckets()));
    }
    assert!(read <= lines(bytes));
}

/// An interval of these counts: by itself a fuzzer finds no compression and no base64.
fn interval(counts: &[u8]) -> Vec<u8> {
    let length = u32::try_from(counts.len()).expect("inputs are short");
    let mut plain = Vec::new();
    for word in [
        0x1c84_9313,
        length,
        0,
        3,
        0,
        1,
        0,
        60_000_000,
        0x3ff0_0000,
        0,
    ] {
        plain.extend(u32::to_be_bytes(word));
    }
    plain.extend(counts);
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflated.write_all(&plain).expect("memory takes all");
    let deflated = deflated.finish().expect("memory takes all");
    let length = u32::try_from(deflated.len()).expect("inputs are short");
    let mut encoded = Vec::from(0x1c84_9314_u32.to_be_bytes());
    encoded.extend(length.to_be_bytes());
    encoded.extend(deflated);
    let encoded = base64::engine::general_purpose::STANDARD.encode(encoded);
    format!("0.000,1.000,1.000,{encoded}\n").into_bytes()
}

/// A file of rows, with the header that its writer gives it.
fn table<T: Serialize + DeserializeOwned + Default + PartialEq + Debug>(bytes: &[u8]) {
    let header = rows::columns::<T>().join(",") + "\n";
    for file in [bytes.to_vec(), [header.as_bytes(), bytes].concat()] {
        let Ok(found) = rows::parse::<T>(&file) else {
            continue;
        };
        assert_eq!(found.cut_off, !file.is_empty() && !file.ends_with(b"\n"));
        assert!(found.rows.len() <= file.len());
        if let Some(cut) = file.strip_suffix(b"\n")
            && let Ok(before) = rows::parse::<T>(cut)
        {
            // What is no number is not itself: floats are compared as they are printed.
            let texts = |rows: &[T]| {
                rows.iter()
                    .map(|row| format!("{row:?}"))
                    .collect::<Vec<_>>()
            };
            assert!(texts(&found.rows).starts_with(&texts(&before.rows)));
            assert!(before.rows.len() + 1 >= found.rows.len());
        }
    }
}

/// Reads bytes as `run.json` or `meta.json`.
fn json<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let text = serde_json::to_vec(&read).expect("what was JSON is JSON");
    let again: T = serde_json::from_slice(&text).expect("as it was written");
    let [one, other] = [&read, &again].map(|value| serde_json::to_value(value).expect("JSON"));
    assert!(same(&one, &other), "{one} is not {other}");
}

/// Whether both are the same, but for the last digit of a float.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() && other.is_f64() => one
            .as_f64()
            .zip(other.as_f64())
            .is_some_and(|(one, other)| (one - other).abs() <= one.abs() * 1e-12),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// Reads bytes as kept strips.
fn images(bytes: &[u8]) {
    let mut reader = PgmReader::new(bytes);
    let images: Vec<_> = reader.by_ref().filter_map(Result::ok).collect();
    let mut written = Vec::new();
    for image in &images {
        assert_eq!(image.pixels.len(), image.width * image.height);
        let halves = image.halves();
        assert!(
            halves
                .iter()
                .all(|half| half.pixels.len() == half.width * half.height)
        );
        write!(written, "P5\n{} {}\n255\n", image.width, image.height).expect("memory takes all");
        written.extend_from_slice(&image.pixels);
    }
    let pixels: usize = images.iter().map(|image| image.pixels.len()).sum();
    assert!(pixels < bytes.len().max(1));
    let mut reader = PgmReader::new(&written[..]);
    let again: Vec<_> = reader.by_ref().map(|image| image.expect("whole")).collect();
    assert!(again == images && !reader.was_cut_off());
}

fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
