//! Reads a repetition's strips, a folder of strips, or a video file, into rows.

use std::{
    fs::{self, File},
    io::BufReader,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
};

use super::{
    pgm::{Image, PgmReader},
    pool::{Pool, Texts},
    rule::{Kind, Known, MAX_LATENCY_US, Status, in_order},
    table::{self, Index},
    video,
};
use anyhow::{Context as _, bail};
use result::RepetitionFolder;
use result::rows::{self, Agreement, Audit, OcrRow, RowStatus};

/// The options of reading strips.
#[derive(Clone, Debug)]
pub struct Options {
    /// The xrbench that is started as a worker: this program, in production.
    pub program: PathBuf,
    /// Worker processes; one a core is right.
    pub workers: NonZero<usize>,
    /// At most that many images are read, spread evenly over what there is; 0 for all.
    pub max_images: u64,
}

impl Options {
    /// The options of this machine: this program, a worker for each core, every image.
    pub fn here() -> anyhow::Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot tell which program this is")?,
            workers: thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            max_images: 0,
        })
    }
}

/// Reads a repetition's strips and writes its `ocr.csv`. `done` is called with the number of images handed out so far.
///
/// It blocks for as long as that takes: seconds to minutes.
pub fn read_repetition(
    folder: &RepetitionFolder,
    options: &Options,
    done: impl FnMut(u64),
) -> anyhow::Result<Audit> {
    let meta = folder.meta()?;
    let kind = if meta.pipeline.is_reference() {
        Kind::Clock
    } else {
        Kind::Stamp
    };
    // The run's time; a frame may be on its way when measuring ends. Where that is unknown, nothing is excluded.
    let window = meta
        .measured_to_us
        .map(|to| (meta.started_us.0, to.0.saturating_add(MAX_LATENCY_US)));
    // Ours are put right by whoever collects them.
    let ahead = |role: &str| meta.clocks.get(role).map_or(0, |clock| clock.offset_us);
    let known = Known {
        window,
        ahead_us: ["renderer", "client"].map(ahead),
    };
    let rows = read_strips(&folder.strips(), kind, known, options, done)?;
    rows::write(&folder.ocr_csv(), &rows)?;
    Ok(Audit::of(&rows))
}

/// Reads every `.pgm` file of a folder, in the order of their names, or a single such file.
///
/// # Errors
/// Fails when there is none, when one is no PGM, and when the workers do not start.
pub fn read_strips(
    path: &Path,
    kind: Kind,
    known: Known,
    options: &Options,
    done: impl FnMut(u64),
) -> anyhow::Result<Vec<OcrRow>> {
    let (files, folder) = if path.is_dir() {
        (pgm_files(path)?, path)
    } else {
        (vec![path.to_owned()], path.parent().unwrap_or(path))
    };
    let index = table::read_index(&folder.join("index.csv"))?;
    let step = step(&files, options.max_images)?;
    let mut names = Vec::new();
    let images = files.iter().flat_map(|file| images_of(file));
    let chosen = images
        .enumerate()
        .filter(|(number, found)| found.is_err() || (*number as u64).is_multiple_of(step))
        .map(|(_, found)| {
            let (name, image) = found?;
            names.push(name);
            Ok(image)
        });
    let pool = Pool {
        program: options.program.clone(),
        workers: options.workers,
        kind,
    };
    let texts = pool.read(chosen, done)?;
    Ok(rows(kind, known, &names, &texts, &index))
}

/// Reads every frame of a video file that shows both stamps, through ffmpeg.
pub fn read_video(
    path: &Path,
    kind: Kind,
    options: &Options,
    done: impl FnMut(u64),
) -> anyhow::Result<Vec<OcrRow>> {
    let mut blocks = Index::new();
    let mut names = Vec::new();
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut frames = video::Frames::open(path, kind)?;
    let step = match options.max_images {
        0 => 1,
        max => frames.expected().div_ceil(max).max(1),
    };
    let pool = Pool {
        program: options.program.clone(),
        workers: options.workers,
        kind,
    };
    let chosen = (0..)
        .map_while(|number: u64| frames.next().map(|frame| (number, frame)))
        .filter(|(number, frame)| frame.is_err() || number.is_multiple_of(step))
        .map(|(number, frame)| {
            let frame = frame?;
            let at = (name.clone(), number);
            blocks.extend(frame.blocks.map(|row| (at.clone(), row)));
            names.push(at);
            Ok(frame.strip)
        });
    let texts = pool.read(chosen, done)?;
    frames.end()?;
    Ok(rows(kind, Known::default(), &names, &texts, &blocks))
}

fn pgm_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "pgm"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!(
            "{} holds no strips (*.pgm): run the client with --strips, or name a video file",
            folder.display()
        );
    }
    Ok(files)
}

/// Every how many images one is read. All of a run's images have one size, so their number follows from the files'.
fn step(files: &[PathBuf], max: u64) -> anyhow::Result<u64> {
    if max == 0 {
        return Ok(1);
    }
    let bytes: u64 = files
        .iter()
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum();
    let first = files.iter().find_map(|file| images_of(file).next());
    let image_bytes = match first {
        Some(found) => found?.1.pixels.len() as u64,
        None => return Ok(1),
    };
    Ok((bytes / image_bytes.max(1)).div_ceil(max).max(1))
}

/// The images of a file, with its name and their number. A truncated image at the end, after a crash, is not counted.
fn images_of(path: &Path) -> impl Iterator<Item = anyhow::Result<((String, u64), Image)>> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let place = path.display().to_string();
    let opened = File::open(path).with_context(|| format!("cannot open {place}"));
    let (reader, failed) = match opened {
        Ok(file) => (
            Some(PgmReader::new(BufReader::with_capacity(1 << 16, file))),
            None,
        ),
        Err(error) => (None, Some(Err(error))),
    };
    reader
        .into_iter()
        .flatten()
        .zip(0..)
        .map(move |(image, number)| {
            let image = image.with_context(|| format!("cannot read {place} as strips"))?;
            Ok(((name.clone(), number), image))
        })
        .chain(failed)
}

/// Judges what was read.
fn rows(
    kind: Kind,
    known: Known,
    names: &[(String, u64)],
    texts: &[Option<Texts>],
    index: &Index,
) -> Vec<OcrRow> {
    let mut rows: Vec<OcrRow> = names
        .iter()
        .zip(texts)
        .map(|(name, texts)| row(kind, known, name, texts.as_ref(), index))
        .collect();
    if kind == Kind::Clock {
        let read: Vec<_> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| row.status == RowStatus::Read)
            .filter_map(|(at, row)| Some((at, row.generated_us?)))
            .collect();
        let times: Vec<_> = read.iter().map(|(_, time)| *time).collect();
        for ((at, _), kept) in read.iter().zip(in_order(&times)) {
            if !kept {
                rows[*at].status = RowStatus::Unread;
                rows[*at].why = "order".into();
                rows[*at].latency_us = None;
            }
        }
    }
    rows
}

fn row(
    kind: Kind,
    known: Known,
    name: &(String, u64),
    texts: Option<&Texts>,
    index: &Index,
) -> OcrRow {
    let indexed = index.get(name);
    let mut row = OcrRow {
        file: name.0.clone(),
        image: name.1,
        rtp_timestamp: indexed.and_then(|one| one.rtp_timestamp),
        ..OcrRow::default()
    };
    let Some((generation, consumption)) = texts else {
        row.why = "the worker died".into();
        return row;
    };
    row.generation_text = generation.to_string();
    row.consumption_text = consumption.to_string();
    match kind.judge(generation, consumption, known) {
        Status::Unread(why) => row.why = why.into(),
        Status::Read(times) => {
            row.status = RowStatus::Read;
            row.frame = times.frame;
            row.generated_us = Some(times.generated_us);
            row.consumed_us = Some(times.consumed_us);
            row.latency_us = times.consumed_us.checked_sub(times.generated_us);
            if let Some(indexed) = indexed.filter(|one| one.generated_us.is_some()) {
                let same = indexed.frame == row.frame
                    && indexed.generated_us == row.generated_us
                    && indexed
                        .decoded_us
                        .is_none_or(|drawn| Some(drawn) == row.consumed_us);
                row.blocks = if same { Agreement::Yes } else { Agreement::No };
            }
        }
    }
    row
}
