//! Workers side by side, one a core, fed in order and answered in order.

use std::{
    num::NonZero,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use anyhow::Context as _;

use super::{
    pgm::Image,
    rule::{Kind, Reading},
    worker::Worker,
};

/// Workers that may die before the whole reading fails: a picture that kills the library costs one each.
const MAX_DEATHS: u64 = 3;

/// The readings of an image's two lines.
pub(super) type Texts = (Reading, Reading);

/// The plan of a pool of workers.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// The xrbench that is started as a worker.
    pub program: PathBuf,
    pub workers: NonZero<usize>,
    /// The kind of image that the workers read.
    pub kind: Kind,
}

/// An image by its place in the answer.
struct Numbered {
    number: usize,
    image: Image,
}

impl Pool {
    /// Reads every image, at most two a worker in memory. `None` stands for an image that killed its worker. `done` is
    /// called with the number of images that were handed out.
    pub(super) fn read(
        &self,
        images: impl Iterator<Item = anyhow::Result<Image>>,
        mut done: impl FnMut(u64),
    ) -> anyhow::Result<Vec<Option<Texts>>> {
        // A rendezvous: a picture is read from the disk when a worker wants it.
        let (tasks, queue) = mpsc::sync_channel(0);
        let (answers, answered) = mpsc::channel();
        let (queue, deaths) = (Mutex::new(queue), AtomicU64::new(0));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..self.workers.get())
                .map(|_| {
                    let (queue, deaths, answers) = (&queue, &deaths, answers.clone());
                    scope.spawn(move || serve(&self.program, self.kind, queue, deaths, &answers))
                })
                .collect();
            drop(answers);
            let mut read: Vec<Option<Texts>> = Vec::new();
            let mut failed = None;
            for image in images {
                let number = read.len();
                let sent = match image {
                    Ok(image) => tasks.send(Numbered { number, image }).is_ok(),
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                };
                if !sent {
                    break;
                }
                read.push(None);
                done(read.len() as u64);
            }
            drop(tasks);
            for worker in workers {
                let ended = worker
                    .join()
                    .map_err(|_| anyhow::anyhow!("an OCR thread panicked"))?;
                failed = failed.or_else(|| ended.err());
            }
            for (number, texts) in &answered {
                if let Some(place) = read.get_mut(number) {
                    *place = Some(texts);
                }
            }
            failed.map_or(Ok(read), Err)
        })
    }
}

/// Feeds one worker until there is nothing left, and replaces it when it dies.
fn serve(
    program: &Path,
    kind: Kind,
    queue: &Mutex<Receiver<Numbered>>,
    deaths: &AtomicU64,
    answers: &Sender<(usize, Texts)>,
) -> anyhow::Result<()> {
    let result = (|| {
        let mut worker = Worker::start(program, kind)?;
        loop {
            let next = queue.lock().ok().and_then(|queue| queue.recv().ok());
            let Some(next) = next else {
                return Ok(());
            };
            match worker.read(&next.image) {
                Ok(texts) => drop(answers.send((next.number, texts))),
                Err(error) => {
                    if deaths.fetch_add(1, Ordering::Relaxed) >= MAX_DEATHS {
                        return Err(error)
                            .context("one OCR worker after the other died; run `xrbench doctor`");
                    }
                    worker = Worker::start(program, kind)?;
                }
            }
        }
    })();
    if result.is_err() {
        // Whoever hands out pictures must not wait for a worker that will not come.
        while queue
            .lock()
            .ok()
            .and_then(|queue| queue.recv().ok())
            .is_some()
        {}
    }
    result
}
