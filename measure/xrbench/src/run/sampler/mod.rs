//! Once a second, beside a repetition: what each of its processes has used (`resources.csv`), and the machine
//! (`host.csv`).

mod processes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use collect::{Live, Used};
use parking_lot::Mutex;
use service::clock;
use testbed::cgroup::Group;
use testbed::real_time::give_way;
use testbed::resources::Sample;
use timeline::UnixMicros;

use super::events::Events;
use super::host::{CLOCK_STEP_US, CpuTicks, Second};
use super::timer::LateTimer;
use crate::scenario::Disturbed;
use processes::{Processes, Watched};
use result::RepetitionFolder;
use result::machine::load1;
use result::rows::{HostRow, ResourceRow, Writer};

const SECOND: Duration = Duration::from_secs(1);

/// The pause between two processes of one pass, in which whoever waited has the processor: a pass in one go would be longer than
/// a frame takes to decode.
const BREATH: Duration = Duration::from_millis(4);

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
    watched: Mutex<BTreeMap<String, Watched>>,
    /// Processes that have ended since the last sample, with all that they had used.
    ended: Mutex<Vec<(Watched, Sample)>>,
    seconds: Mutex<Seconds>,
    /// Rows that others have made, to be written with the next second's.
    rows: Rows,
}

/// Takes rows of `resources.csv` from whoever has figures that are not in `/proc`. Clones give to the same file.
#[derive(Clone, Debug, Default)]
pub struct Rows(Arc<Mutex<Vec<ResourceRow>>>);

impl Rows {
    /// Hands rows over, to be written with the next second's.
    pub fn push(&self, rows: Vec<ResourceRow>) {
        self.0.lock().extend(rows);
    }
}

/// The seconds of a repetition, and which of them were disturbed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seconds {
    /// From, to, and whether it was disturbed; in order of time, unless the clock was set back.
    spans: Vec<(UnixMicros, UnixMicros, bool)>,
    /// The largest step of the wall clock, in microseconds.
    pub clock_step_us: i64,
    /// The largest slew of the clocks, in parts in a million.
    pub clock_slew_ppm: f64,
}

impl Seconds {
    /// Whether the second that holds `at` was disturbed; nothing where no second holds it.
    pub fn disturbed(&self, at: UnixMicros) -> Option<bool> {
        if !self.spans.is_sorted_by_key(|(from, _, _)| *from) {
            // Several seconds may hold it, and the one in which the clock was set back ends before it begins.
            let holding = self.spans.iter().filter(|(from, to, _)| {
                let (first, last) = (*from.min(to), *from.max(to));
                first <= at && at < last
            });
            return holding.map(|(_, _, disturbed)| *disturbed).max();
        }
        let after = self.spans.partition_point(|(from, _, _)| *from <= at);
        let (_, to, disturbed) = *self.spans.get(after.checked_sub(1)?)?;
        (at < to).then_some(disturbed)
    }
}

impl Seconds {
    /// Whether any second that meets the time from `from` to `to` was disturbed; nothing where none meets it.
    pub fn disturbed_between(&self, from: UnixMicros, to: UnixMicros) -> Option<bool> {
        let ends = [self.disturbed(from), self.disturbed(to)];
        let within = if self.spans.is_sorted_by_key(|(from, _, _)| *from) {
            let first = self.spans.partition_point(|(begin, _, _)| *begin <= from);
            &self.spans[first..]
        } else {
            // The seconds in which a clock was set are disturbed, and its instants are in no order.
            &[]
        };
        let within = within.iter().take_while(|(begin, _, _)| *begin <= to);
        let within = within.map(|(_, _, disturbed)| *disturbed);
        ends.into_iter().flatten().chain(within).max()
    }
}

impl Sampler {
    /// Starts sampling into a repetition's folder.
    pub fn start(
        folder: &RepetitionFolder,
        rule: Disturbed,
        events: Events,
        live: Arc<Live>,
    ) -> anyhow::Result<Self> {
        let timer = LateTimer::start().context("cannot start the timer's thread")?;
        let resources = Writer::create(&folder.resources_csv())?;
        let host = Writer::create(&folder.host_csv())?;
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = std::sync::mpsc::channel();
        let loop_shared = Arc::clone(&shared);
        // Read here, so that the first second begins before anything that the caller does next.
        let last = Reading::now();
        let thread = std::thread::Builder::new()
            .name("sampler".into())
            .spawn(move || {
                // It must not hold up what it watches. A sample that comes late says "between": each counts its own time. Where
                // the kernel refuses, it is a thread as any other.
                give_way();
                let mut sampling = Sampling {
                    shared: loop_shared,
                    resources,
                    host,
                    timer,
                    rule,
                    events,
                    live,
                    processes: Processes::default(),
                    read: BTreeMap::new(),
                    last,
                };
                // At another moment of each repetition: its passes would meet the same pictures in all of them, and what they
                // cost those would be no error that repetitions average.
                let mut due = Instant::now() + SECOND + SECOND.mul_f64(fastrand::f64());
                loop {
                    let ended = stopped.recv_timeout(due.saturating_duration_since(Instant::now()));
                    due += SECOND;
                    let is_last = ended != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
                    // Nothing is left to be held up at the end.
                    sampling.second(if is_last { Duration::ZERO } else { BREATH })?;
                    if is_last {
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

    /// Samples the process with this role from now on. Its group says which cluster it is counted to; without one it is
    /// counted to none.
    pub fn watch(&self, role: &str, pid: Option<u32>, group: Option<&Group>) {
        if let Some(pid) = pid {
            let watched = Watched::new(role, pid, group);
            self.shared.watched.lock().insert(role.to_owned(), watched);
        }
    }

    /// Takes rows from others.
    pub fn rows(&self) -> Rows {
        self.shared.rows.clone()
    }

    /// The process with this role has ended, having used so much: its last ticks are ours too.
    pub fn ended(&self, role: &str, used: Option<Sample>) {
        let watched = self.shared.watched.lock().remove(role);
        if let (Some(watched), Some(used)) = (watched, used) {
            self.shared.ended.lock().push((watched, used));
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
        Ok(self.shared.seconds.lock().clone())
    }

    /// Whether it has ended by itself.
    pub fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

/// The clocks and the machine at one instant.
#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: UnixMicros,
    steady: Instant,
    /// The processor's own clock, which nobody slews, since an instant of its own.
    raw: Duration,
    cpu: CpuTicks,
}

impl Reading {
    fn now() -> Self {
        let (steady, raw) = at_once();
        Self {
            wall: clock::now(),
            steady,
            raw,
            cpu: CpuTicks::now(),
        }
    }
}

/// The monotonic and the raw clock, read with so little between them that it does not count.
fn at_once() -> (Instant, Duration) {
    let mut closest = None;
    for _ in 0..8 {
        let (before, raw, after) = (Instant::now(), raw_clock(), Instant::now());
        let apart = after.saturating_duration_since(before);
        if closest.is_none_or(|(least, _, _)| apart < least) {
            closest = Some((apart, before + apart / 2, raw));
        }
        if apart < Duration::from_micros(5) {
            break;
        }
    }
    let (_, steady, raw) = closest.expect("it was read eight times");
    (steady, raw)
}

fn raw_clock() -> Duration {
    let time = nix::time::ClockId::CLOCK_MONOTONIC_RAW.now();
    time.map_or(Duration::ZERO, Duration::from)
}

/// How much faster than `raw` the clock ran that says `steady`, in parts in a million; 0 of less than half a second, which tells
/// nothing.
fn slew_ppm(steady: Duration, raw: Duration) -> f64 {
    if raw < SECOND / 2 {
        return 0.0;
    }
    (steady.as_secs_f64() / raw.as_secs_f64() - 1.0) * 1e6
}

struct Sampling {
    shared: Arc<Shared>,
    resources: Writer<ResourceRow>,
    host: Writer<HostRow>,
    timer: LateTimer,
    rule: Disturbed,
    events: Events,
    live: Arc<Live>,
    processes: Processes,
    /// When each process was read last.
    read: BTreeMap<u32, Instant>,
    last: Reading,
}

impl Sampling {
    /// Reads the machine and every process, with a pause after each.
    fn second(&mut self, breath: Duration) -> anyhow::Result<()> {
        let (from, now) = (self.last, Reading::now());
        self.last = now;
        let elapsed = now.steady.saturating_duration_since(from.steady);
        let ours = self.processes(now, elapsed, breath)?;
        let pass_us = u64::try_from(now.steady.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut second = Second::between(from.cpu, now.cpu, ours);
        second.load1 = load1();
        second.late_us = self.timer.take_worst_us();
        let steady_us = i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX);
        second.clock_step_us = now.wall.micros_since(from.wall) - steady_us;
        second.clock_slew_ppm = slew_ppm(elapsed, now.raw.saturating_sub(from.raw));
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
        let mut seconds = self.shared.seconds.lock();
        if second.clock_step_us.abs() > seconds.clock_step_us.abs() {
            seconds.clock_step_us = second.clock_step_us;
        }
        if second.clock_slew_ppm.abs() > seconds.clock_slew_ppm.abs() {
            seconds.clock_slew_ppm = second.clock_slew_ppm;
        }
        seconds.spans.push((from.wall, now.wall, why.is_some()));
        drop(seconds);
        self.host.write(&HostRow {
            from_us: from.wall,
            to_us: now.wall,
            steal_percent: second.steal_percent,
            programs_percent: second.programs_percent,
            foreign_percent: second.foreign_percent,
            load1: second.load1,
            late_us: second.late_us,
            late_counts: self.timer.is_real_time(),
            clock_step_us: second.clock_step_us,
            clock_slew_ppm: second.clock_slew_ppm,
            pass_from_us: Some(now.wall),
            pass_to_us: Some(UnixMicros(now.wall.0.saturating_add(pass_us))),
            disturbed: why.is_some(),
            why: why.unwrap_or_default().to_owned(),
        })?;
        self.host.flush()
    }

    /// Samples every process, this one too; returns the ticks that they used in this second.
    fn processes(
        &mut self,
        now: Reading,
        elapsed: Duration,
        breath: Duration,
    ) -> anyhow::Result<u64> {
        let at = now.wall;
        let ended = std::mem::take(&mut *self.shared.ended.lock());
        let mut running: Vec<Watched> = self.shared.watched.lock().values().cloned().collect();
        running.push(Watched::ourselves());
        let last = ended
            .iter()
            .map(|(of, used)| self.processes.ended(of, used, at, elapsed));
        let mut lines: Vec<_> = last.collect();
        for of in &running {
            // It was read as much later in this pass as in the last one, or else its own time is longer.
            let elapsed = self
                .read
                .insert(of.pid, Instant::now())
                .map_or(elapsed, |last| last.elapsed());
            lines.extend(self.processes.running(of, at, elapsed));
            std::thread::sleep(breath);
        }
        self.read
            .retain(|pid, _| running.iter().any(|of| of.pid == *pid));
        let ours = lines.iter().map(|line| line.ticks).sum::<u64>();
        let mut rows: Vec<_> = lines.into_iter().map(|line| line.row).collect();
        rows.append(&mut self.shared.rows.0.lock());
        for row in &rows {
            self.resources.write(row)?;
        }
        let used = rows.into_iter().map(|row| Used {
            role: row.role,
            cpu_percent: row.cpu_percent,
            memory_bytes: row.memory_bytes.or(row.rss_bytes),
        });
        self.live.used(used.collect());
        self.resources.flush()?;
        Ok(ours)
    }
}
