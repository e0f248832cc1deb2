//! Once a second, beside a repetition: what each of its processes has used (`resources.csv`), and the machine
//! (`host.csv`).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use service::clock;
use testbed::resources::{self, Sample};
use timeline::UnixMicros;

use super::events::Events;
use super::host::{CLOCK_STEP_US, CpuTicks, Second, load1};
use super::timer::{LateTimer, become_real_time};
use crate::collect::files::cannot_write;
use crate::folder::RepetitionFolder;
use crate::scenario::Disturbed;

const SECOND: Duration = Duration::from_secs(1);

/// A sampler at work. Dropping it ends its thread.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Processes to sample, by their role.
    pids: Mutex<BTreeMap<String, u32>>,
    /// Processes that have ended since the last sample, with all that they had used.
    ended: Mutex<Vec<(u32, Sample)>>,
    seconds: Mutex<Seconds>,
}

/// The seconds of a repetition, and which of them were disturbed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seconds {
    /// From, to, and whether it was disturbed; in order of time.
    spans: Vec<(UnixMicros, UnixMicros, bool)>,
    /// The largest step of the wall clock, in microseconds.
    pub clock_step_us: i64,
}

impl Seconds {
    /// Whether the second that holds `at` was disturbed; nothing where no second holds it.
    pub fn disturbed(&self, at: UnixMicros) -> Option<bool> {
        let after = self.spans.partition_point(|(from, _, _)| *from <= at);
        let (_, to, disturbed) = *self.spans.get(after.checked_sub(1)?)?;
        (at < to).then_some(disturbed)
    }
}

impl Sampler {
    /// Starts sampling into a repetition's folder.
    pub fn start(
        folder: &RepetitionFolder,
        rule: Disturbed,
        events: Events,
    ) -> anyhow::Result<Self> {
        let timer = LateTimer::start().context("cannot start the timer's thread")?;
        let files = Files {
            resources: create(&folder.resources_csv(), &RESOURCES)?,
            host: create(&folder.host_csv(), &HOST)?,
        };
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = std::sync::mpsc::channel();
        let loop_shared = Arc::clone(&shared);
        // Read here, so that the first second begins before anything that the caller does next.
        let last = Reading::now();
        let thread = std::thread::Builder::new()
            .name("sampler".into())
            .spawn(move || {
                // A sample that comes late says "between": it must not wait behind what it watches.
                become_real_time();
                let mut sampling = Sampling {
                    shared: loop_shared,
                    files,
                    timer,
                    rule,
                    events,
                    before: BTreeMap::new(),
                    last,
                };
                let mut due = Instant::now() + SECOND;
                loop {
                    let ended = stopped.recv_timeout(due.saturating_duration_since(Instant::now()));
                    due += SECOND;
                    sampling.second()?;
                    if ended != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                        return Ok(());
                    }
                }
            })?;
        Ok(Self {
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Samples the process with this role from now on.
    pub fn watch(&self, role: &str, pid: Option<u32>) {
        if let Some(pid) = pid {
            lock(&self.shared.pids).insert(role.to_owned(), pid);
        }
    }

    /// The process with this role has ended, having used so much: its last ticks are ours too.
    pub fn ended(&self, role: &str, used: Option<Sample>) {
        let pid = lock(&self.shared.pids).remove(role);
        if let (Some(pid), Some(used)) = (pid, used) {
            lock(&self.shared.ended).push((pid, used));
        }
    }

    /// Ends it after a last sample.
    pub fn finish(mut self) -> anyhow::Result<Seconds> {
        // It may have ended by itself, because it could not write.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("the sampler's thread panicked"))??;
        }
        Ok(lock(&self.shared.seconds).clone())
    }

    /// Whether it has ended by itself.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

/// The columns of `resources.csv`. Processor time and switches are counted from the process's start.
const RESOURCES: [&str; 11] = [
    "time_us",
    "role",
    "pid",
    "user_ticks",
    "system_ticks",
    "ticks_hz",
    "cpu_percent",
    "rss_bytes",
    "threads",
    "voluntary_switches",
    "involuntary_switches",
];

/// The columns of `host.csv`. Shares are of all processors together.
const HOST: [&str; 11] = [
    "from_us",
    "to_us",
    "steal_percent",
    "programs_percent",
    "foreign_percent",
    "load1",
    "late_us",
    "late_counts",
    "clock_step_us",
    "disturbed",
    "why",
];

#[derive(Debug)]
struct Files {
    resources: csv::Writer<File>,
    host: csv::Writer<File>,
}

fn create(path: &Path, columns: &[&str]) -> anyhow::Result<csv::Writer<File>> {
    let file = File::create(path).with_context(|| cannot_write(path))?;
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(columns)?;
    writer.flush().with_context(|| cannot_write(path))?;
    Ok(writer)
}

/// The clocks and the machine at one instant.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: UnixMicros,
    steady: Instant,
    cpu: CpuTicks,
}

impl Reading {
    fn now() -> Self {
        Self {
            wall: clock::now(),
            steady: Instant::now(),
            cpu: CpuTicks::now(),
        }
    }
}

struct Sampling {
    shared: Arc<Shared>,
    files: Files,
    timer: LateTimer,
    rule: Disturbed,
    events: Events,
    /// The last sample of each process.
    before: BTreeMap<u32, Sample>,
    last: Reading,
}

impl Sampling {
    fn second(&mut self) -> anyhow::Result<()> {
        let (from, now) = (self.last, Reading::now());
        self.last = now;
        let elapsed = now.steady.saturating_duration_since(from.steady);
        let ours = self.processes(now.wall, elapsed)?;
        let mut second = Second::between(from.cpu, now.cpu, ours);
        second.load1 = load1();
        second.late_us = self.timer.take_worst_us();
        let steady_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        second.clock_step_us = now.wall.micros_since(from.wall) - steady_us;
        let why = second.disturbed(&self.rule, self.timer.is_real_time());
        if second.clock_step_us.abs() > CLOCK_STEP_US {
            let detail = format!(
                "the wall clock moved {} us against the monotonic one",
                second.clock_step_us
            );
            self.events.at(now.wall, "clock step", "host", &detail);
        }
        if let Some(why) = why {
            self.events.at(now.wall, "disturbed", "host", why);
        }
        let mut seconds = lock(&self.shared.seconds);
        if second.clock_step_us.abs() > seconds.clock_step_us.abs() {
            seconds.clock_step_us = second.clock_step_us;
        }
        seconds.spans.push((from.wall, now.wall, why.is_some()));
        drop(seconds);
        self.files.host.write_record([
            from.wall.to_string(),
            now.wall.to_string(),
            format!("{:.2}", second.steal_percent),
            format!("{:.2}", second.programs_percent),
            format!("{:.2}", second.foreign_percent),
            format!("{:.2}", second.load1),
            second.late_us.to_string(),
            self.timer.is_real_time().to_string(),
            second.clock_step_us.to_string(),
            why.is_some().to_string(),
            why.unwrap_or_default().to_owned(),
        ])?;
        self.files
            .host
            .flush()
            .context("cannot write host.csv; is the disk full?")
    }

    /// Samples every process, this one too; returns the ticks that they used in this second.
    fn processes(&mut self, at: UnixMicros, elapsed: Duration) -> anyhow::Result<u64> {
        let hz = resources::ticks_hz();
        let mut pids: Vec<(String, u32)> = lock(&self.shared.pids)
            .iter()
            .map(|(role, pid)| (role.clone(), *pid))
            .collect();
        pids.push(("xrbench".to_owned(), std::process::id()));
        let mut ours = 0;
        for (pid, used) in std::mem::take(&mut *lock(&self.shared.ended)) {
            let before = self
                .before
                .remove(&pid)
                .map_or(0, |sample| ticks_of(&sample));
            ours += ticks_of(&used).saturating_sub(before);
        }
        for (role, pid) in pids {
            // It may have ended a moment ago.
            let Ok(sample) = resources::sample(pid) else {
                continue;
            };
            let used = ticks_of(&sample);
            // This process is older than the repetition: what it used before is not this second's.
            let own = pid == std::process::id();
            let before = self
                .before
                .insert(pid, sample)
                .map_or(if own { used } else { 0 }, |before| ticks_of(&before));
            let ticks = used.saturating_sub(before);
            ours += ticks;
            let percent = ticks as f64 / hz as f64 / elapsed.as_secs_f64().max(1e-6) * 100.0;
            self.files.resources.write_record([
                at.to_string(),
                role,
                pid.to_string(),
                sample.user_ticks.to_string(),
                sample.system_ticks.to_string(),
                hz.to_string(),
                format!("{percent:.1}"),
                sample.rss_bytes.to_string(),
                sample.threads.to_string(),
                sample.voluntary_switches.to_string(),
                sample.involuntary_switches.to_string(),
            ])?;
        }
        self.files
            .resources
            .flush()
            .context("cannot write resources.csv; is the disk full?")?;
        Ok(ours)
    }
}

const fn ticks_of(sample: &Sample) -> u64 {
    sample.user_ticks + sample.system_ticks
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_finds_its_second() {
        let us = UnixMicros;
        let seconds = Seconds {
            spans: vec![
                (us(10), us(20), false),
                (us(20), us(30), true),
                (us(40), us(50), false),
            ],
            clock_step_us: 0,
        };
        let found: Vec<_> = [5, 10, 19, 20, 29, 35, 45, 50]
            .map(|at| seconds.disturbed(us(at)))
            .into();
        let expected = [
            None,
            Some(false),
            Some(false),
            Some(true),
            Some(true),
            None,
            Some(false),
            None,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_repetition_is_sampled_to_its_last_moment() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = RepetitionFolder::new(dir.path());
        let events = Events::create(&folder.events_csv()).expect("created");
        let sampler = Sampler::start(&folder, Disturbed::default(), events).expect("started");
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .expect("started");
        sampler.watch("client", Some(child.id()));
        let watched = clock::now();
        let seconds = sampler.finish().expect("finished");
        child.kill().and_then(|()| child.wait()).expect("ended");
        // Starting a process took longer than the clock's microsecond, and so does joining the sampler's thread.
        assert!(
            seconds
                .disturbed(UnixMicros(watched.0.saturating_sub(1)))
                .is_some(),
            "{watched} {seconds:?}"
        );
        let text = std::fs::read_to_string(folder.resources_csv()).expect("written");
        assert!(
            text.contains(",client,") && text.contains(",xrbench,"),
            "{text}"
        );
        assert_eq!(
            std::fs::read_to_string(folder.host_csv())
                .expect("written")
                .lines()
                .count(),
            2
        );
    }
}
