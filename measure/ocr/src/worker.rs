//! A worker: this program, started again with `OMP_THREAD_LIMIT=1`, which reads images from its standard input and
//! answers with a line of text for each.
//!
//! Wire: an image is its width and its height, 32 bits each, little-endian, then its pixels. The first line that the
//! worker writes is `ready`, or why it is not; then, for each image, the readings of its two lines with a tab between.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, bail};

use super::{
    engine::Engine,
    pgm::{Image, MAX_PIXELS},
    rule::{Kind, Reading},
};

/// The subcommand that a worker is started with; it is not for people.
pub const SUBCOMMAND: &str = "ocr-worker";

const READY: &str = "ready";

/// A worker's whole life: until its standard input ends.
pub fn run(kind: Kind) -> anyhow::Result<()> {
    let mut from = io::stdin().lock();
    let mut to = io::stdout().lock();
    let mut engine = match Engine::start(kind.characters()) {
        Ok(engine) => engine,
        Err(error) => {
            writeln!(to, "{error}")?;
            return Err(error.into());
        }
    };
    writeln!(to, "{READY}")?;
    to.flush()?;
    let mut image = Image::default();
    loop {
        let mut size = [0; 8];
        match from.read_exact(&mut size) {
            Ok(()) => {}
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error).context("cannot read the next image"),
        }
        let [width, height] = [[0, 1, 2, 3], [4, 5, 6, 7]]
            .map(|at| u32::from_le_bytes(at.map(|byte: usize| size[byte])) as usize);
        if width.saturating_mul(height) > MAX_PIXELS {
            bail!("an image of {width}x{height} pixels is not read");
        }
        image.width = width;
        image.height = height;
        image.pixels.resize(width * height, 0);
        from.read_exact(&mut image.pixels)
            .context("the image ends too early")?;
        let [generation, consumption] = image.halves().map(|line| kind.read(&mut engine, &line));
        writeln!(to, "{generation}\t{consumption}")?;
        to.flush()?;
    }
}

/// A running worker, seen from the process that feeds it. It ends when this is dropped.
pub(super) struct Worker {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    answer: String,
}

impl Worker {
    /// Starts `program`, an xrbench, as a worker, and waits until its engine is up.
    pub(super) fn start(program: &Path, kind: Kind) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args([SUBCOMMAND, "--kind", kind.as_str()])
            // One thread an engine: libgomp reads this when it is loaded, so it must be there from the start.
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {} as an OCR worker", program.display()))?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let mut worker = Self {
            child,
            to,
            from: BufReader::new(from.context("the worker has no output")?),
            answer: String::new(),
        };
        match worker.line()?.as_str() {
            READY => Ok(worker),
            why => bail!("the OCR worker did not start: {why}"),
        }
    }

    /// The readings of an image's two lines.
    pub(super) fn read(&mut self, image: &Image) -> anyhow::Result<(Reading, Reading)> {
        let to = self.to.as_mut().context("the worker has no input")?;
        let size = |pixels: usize| u32::try_from(pixels).unwrap_or(0).to_le_bytes();
        to.write_all(&[size(image.width), size(image.height)].concat())?;
        to.write_all(&image.pixels)?;
        to.flush()?;
        let line = self.line()?;
        let (generation, consumption) = line.split_once('\t').unwrap_or((&line, ""));
        let read = Reading::from_written;
        Ok((read(generation), read(consumption)))
    }

    fn line(&mut self) -> anyhow::Result<String> {
        self.answer.clear();
        // A line of text is short: a worker that writes without end has gone mad.
        (&mut self.from).take(4_096).read_line(&mut self.answer)?;
        if !self.answer.ends_with('\n') {
            bail!("the OCR worker ended before it answered");
        }
        Ok(self.answer.trim_end_matches('\n').to_owned())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input ends it; one that still reads a picture is ended the hard way.
        drop(self.to.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
