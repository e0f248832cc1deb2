//! How much faster our workers are than the usual way, one `tesseract` process a strip: in turn, as a ratio.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use stamp::{Line, MIN_HEIGHT, MIN_WIDTH, Plane, PlaneMut, Stamp};

use super::{
    folder::Options,
    pgm::Image,
    pool::Pool,
    rule::{Kind, Known, Status},
};

/// Rates of reading strips. A strip here is one line.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rates {
    /// Strips a second, all workers together.
    pub pool_strips_per_s: f64,
    /// Strips a second, one `tesseract` process after the other, with its own threads.
    pub process_strips_per_s: f64,
    /// The first over the second.
    pub ratio: f64,
    /// Share of our strips that were read right, in percent.
    pub read_percent: f64,
}

/// Alternates both for `rounds` rounds. The workers' start is in their time, as every process's start is in its own.
pub fn run(options: &Options, rounds: u32) -> anyhow::Result<Rates> {
    const OURS: u32 = 300;
    const THEIRS: u32 = 8;
    let pool = Pool {
        program: options.program.clone(),
        workers: options.workers,
        kind: Kind::Stamp,
    };
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let strip = folder.path().join("strip.pgm");
    let (mut ours_s, mut theirs_s, mut right) = (0.0, 0.0, 0);
    for round in 0..rounds {
        let images: Vec<_> = (0..OURS).map(|at| image(round * OURS + at)).collect();
        let began = Instant::now();
        let texts = pool.read(images.iter().map(|image| Ok(image.clone())), |_| {})?;
        ours_s += began.elapsed().as_secs_f64();
        for (at, (generation, consumption)) in (0..).zip(texts.into_iter().flatten()) {
            let (from, to) = stamps(round * OURS + at);
            let read = Kind::Stamp.judge(&generation, &consumption, Known::default());
            right += u32::from(matches!(read, Status::Read(times)
                if times.generated_us == from.time_us && times.consumed_us == to.time_us));
        }
        for image in images.iter().take(THEIRS as usize) {
            let [generation, _] = image.halves();
            write_pgm(&strip, &generation)?;
            let began = Instant::now();
            one_process(&strip)?;
            theirs_s += began.elapsed().as_secs_f64();
        }
    }
    let (ours, theirs) = (f64::from(rounds * OURS), f64::from(rounds * THEIRS));
    Ok(Rates {
        pool_strips_per_s: 2.0 * ours / ours_s,
        process_strips_per_s: theirs / theirs_s,
        ratio: (2.0 * ours / ours_s) / (theirs / theirs_s),
        read_percent: 100.0 * f64::from(right) / ours,
    })
}

/// The usual way: the command line that a script would run for each strip.
fn one_process(strip: &Path) -> anyhow::Result<()> {
    let status = Command::new("tesseract")
        .arg(strip)
        .args([
            "-",
            "--psm",
            "7",
            "-c",
            "tessedit_char_whitelist=0123456789",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot start tesseract: install the package tesseract-ocr")?;
    ensure!(status.success(), "tesseract failed: {status}");
    Ok(())
}

fn write_pgm(path: &Path, image: &Image) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(path).context("cannot write a strip")?;
    write!(file, "P5\n{} {}\n255\n", image.width, image.height)?;
    file.write_all(&image.pixels)
        .context("cannot write a strip")
}

/// What is on image `number`: times spread as those of a run are.
fn stamps(number: u32) -> (Stamp, Stamp) {
    let time_us = 1_795_317_128_000_000 + u64::from(number) * 16_683;
    let latency_us = 6_000 + u64::from(number) * 7_919 % 9_000;
    let at = |time_us| Stamp {
        frame: number * 37,
        time_us,
    };
    (at(time_us), at(time_us + latency_us))
}

/// A strip as a client keeps it, with a little noise on the generation line, as an encoder leaves there.
fn image(number: u32) -> Image {
    let (generation, consumption) = stamps(number);
    let mut luma = vec![128; MIN_WIDTH * MIN_HEIGHT];
    let mut plane = PlaneMut::new(&mut luma, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH)
        .expect("the slice has that size");
    stamp::draw_generation(&mut plane, generation);
    let mut noise = number.wrapping_mul(2_654_435_761) | 1;
    for pixel in &mut luma {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        *pixel = pixel.saturating_sub(noise.to_le_bytes()[0] % 12);
    }
    let mut plane = PlaneMut::new(&mut luma, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH)
        .expect("the slice has that size");
    stamp::draw_consumption(&mut plane, consumption);
    let plane =
        Plane::new(&luma, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH).expect("the slice has that size");
    let mut strip = Image {
        width: stamp::STRIP_WIDTH,
        height: 2 * stamp::STRIP_HEIGHT,
        pixels: Vec::new(),
    };
    for line in [Line::Generation, Line::Consumption] {
        stamp::strip(&plane, line, &mut strip.pixels);
    }
    strip
}
