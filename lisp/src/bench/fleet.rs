//! The programs of an experiment on the network of [two clusters](super::layout::CLUSTERS), and what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use service::Shutdown;

use super::layout::CLUSTERS;
use super::network::{Running, TestNetwork};
use crate::told::Told;

/// How long a program may take to be ready, and the programs together to carry the first answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How often programs are looked at that say nothing.
const LOOK: Duration = Duration::from_millis(200);

/// Lines of a program's log that are shown when an experiment fails.
const TAIL: usize = 5;

/// An answer that the client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub number: u64,
    pub sent_ns: u64,
    pub answered_ns: u64,
    pub by: String,
}

/// Programs on a network; they end with it.
#[derive(Debug)]
pub struct Fleet {
    running: BTreeMap<&'static str, Running>,
    /// The network that the programs run on.
    pub network: TestNetwork,
    folder: PathBuf,
    shutdown: Shutdown,
    sender: Sender<(&'static str, Told)>,
    heard: Receiver<(&'static str, Told)>,
    /// The events of the programs, but for answers.
    pub events: Vec<(&'static str, Told)>,
    /// Answers that the client got.
    pub answers: Vec<Answer>,
}

impl Fleet {
    /// A network without programs. Keys, configurations and logs go into `folder`; whatever is waited for ends with the shutdown.
    pub fn new(program: PathBuf, folder: &Path, shutdown: Shutdown) -> anyhow::Result<Self> {
        for (name, secret) in [("key", "secret"), ("token", "a-token-that-nobody-else-has")] {
            let file = folder.join(name);
            std::fs::write(&file, secret)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let (sender, heard) = channel();
        Ok(Self {
            running: BTreeMap::new(),
            network: TestNetwork::make(&CLUSTERS, true, program)?,
            folder: folder.to_owned(),
            shutdown,
            sender,
            heard,
            events: Vec::new(),
            answers: Vec::new(),
        })
    }

    /// The path of a file of the folder.
    pub fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.folder.join(name);
        let path = path.to_str().context("the folder's name is text")?;
        Ok(path.to_owned())
    }

    /// Starts xr-lisp in a place, under a name.
    pub fn start(
        &mut self,
        place: &str,
        name: &'static str,
        args: &[&str],
    ) -> anyhow::Result<&mut Running> {
        let program = self
            .network
            .start_told(place, name, args, &self.folder, &self.sender)?;
        Ok(self.running.entry(name).insert_entry(program).into_mut())
    }

    /// Starts xr-lisp, and waits until it is ready.
    pub fn start_ready(
        &mut self,
        place: &str,
        name: &'static str,
        args: &[&str],
    ) -> anyhow::Result<&mut Running> {
        self.start(place, name, args)?;
        self.until(&format!("{name} is ready"), PATIENCE, |fleet| {
            fleet.has_told(name, &Told::Ready)
        })?;
        self.running.get_mut(name).context("it was just started")
    }

    /// Keeps another program as one of these.
    pub fn keep(&mut self, name: &'static str, running: Running) {
        self.running.insert(name, running);
    }

    /// A program of this name.
    pub fn program(&mut self, name: &str) -> anyhow::Result<&mut Running> {
        let program = self.running.get_mut(name);
        program.with_context(|| format!("{name} was not started"))
    }

    /// Whether a program has said this.
    pub fn has_told(&self, name: &str, told: &Told) -> bool {
        self.events
            .iter()
            .any(|(by, one)| *by == name && one == told)
    }

    /// The first that a program has said since a time for which `is_it` holds; its time.
    pub fn first(
        &self,
        name: &str,
        since_ns: u64,
        is_it: impl Fn(&Told) -> bool,
    ) -> anyhow::Result<u64> {
        let of_it = self
            .events
            .iter()
            .filter(|(by, told)| *by == name && is_it(told));
        let mut times = of_it.filter_map(|(_, told)| Some(told.fields()?.0));
        let found = times.find(|at_ns| *at_ns >= since_ns);
        found.with_context(|| format!("{name} has not said what was waited for"))
    }

    /// Whether a tunnel router has said, since a time, that it uses these locators for a prefix.
    pub fn is_mapped(&self, name: &str, wanted: &str, locators: &[&str]) -> bool {
        let mut said = self
            .events
            .iter()
            .rev()
            .filter_map(|(by, told)| match told {
                Told::Mapping { eid, locators, .. } if *by == name && eid.to_string() == wanted => {
                    Some(locators)
                }
                _ => None,
            });
        said.next().is_some_and(|last| {
            last.iter()
                .map(ToString::to_string)
                .eq(locators.iter().copied())
        })
    }

    /// Takes in what is said until `is_it` holds.
    pub fn until(
        &mut self,
        what: &str,
        patience: Duration,
        is_it: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + patience;
        while !is_it(self) {
            if self.shutdown.has_fired() {
                bail!("told to stop");
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left.min(LOOK)) {
                Ok((by, told)) => self.take(by, told),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => bail!(
                    "not within {:.1} s: {what}\n{}",
                    patience.as_secs_f64(),
                    self.tails()
                ),
            }
        }
        Ok(())
    }

    /// Takes in what is said for a time.
    pub fn during(&mut self, time: Duration) {
        let end = Instant::now() + time;
        let left = || end.saturating_duration_since(Instant::now());
        while !left().is_zero() && !self.shutdown.has_fired() {
            if let Ok((by, told)) = self.heard.recv_timeout(left().min(LOOK)) {
                self.take(by, told);
            }
        }
    }

    fn take(&mut self, by: &'static str, told: Told) {
        match told {
            Told::Answered {
                at_ns,
                number,
                sent_ns,
                by,
            } => self.answers.push(Answer {
                number,
                sent_ns,
                answered_ns: at_ns,
                by,
            }),
            told => self.events.push((by, told)),
        }
    }

    /// The last lines of every log that has any.
    fn tails(&self) -> String {
        let mut text = String::new();
        for name in self.running.keys() {
            let log = std::fs::read_to_string(self.folder.join(format!("{name}.log")));
            let log = log.unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(TAIL)..] {
                text += &format!("  {name}: {line}\n");
            }
        }
        text
    }
}
