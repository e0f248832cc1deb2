//! What the pods use, as their kubelets tell it: rows of `resources.csv`, as a lab has them.
//!
//! A kubelet measures each container about every ten seconds, at times of its own. Processor time between two readings is
//! taken to have been used evenly, so that every container has a share in each interval of [`STEP_MS`]; an interval for which
//! some container has no reading on both sides is left out. Whole nodes have rows too, in no cluster: the paper's figures are of
//! whole machines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::ContainerUsage;
use cluster::cadvisor::Reading;
use parking_lot::Mutex;
use result::ResourcesMeta;
use result::rows::ResourceRow;
use service::clock;
use settings::ClusterName;
use timeline::UnixMicros;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::pods::Started;
use super::target::KubeTarget;
use crate::run::events::Events;
use crate::run::place::terms::Setup;

/// How often the kubelets are asked.
const EVERY: Duration = Duration::from_secs(2);

/// The length of an interval, so short that little is lost at the ends of a repetition.
const STEP_MS: i64 = 2_000;

/// Where the figures come from.
const SOURCE: &str = "cadvisor";

/// Asks the kubelets beside a repetition.
#[derive(Debug)]
pub(super) struct Usage {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Book>,
}

impl Usage {
    pub(super) fn start(
        target: Arc<KubeTarget>,
        started: Arc<Mutex<Vec<Started>>>,
        setup: &Setup<'_>,
    ) -> Self {
        let (rows, events) = (setup.rows.clone(), setup.events.clone());
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut book = Book::default();
            let mut looks = tokio::time::interval(EVERY);
            looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut stopped => return book,
                    _ = looks.tick() => {}
                }
                let watched = started.lock().clone();
                // A kubelet that does not answer says nothing of what has ended.
                if let Some((read, nodes)) = ask(&target, &watched, &mut book, &events).await {
                    rows.push(book.pass(&read, clock::now()));
                    rows.push(book.nodes(&nodes));
                }
            }
        });
        Self { stop, task }
    }

    /// Ends it, and tells what was missing.
    pub(super) async fn end(self) -> ResourcesMeta {
        // It waits for nothing else.
        let _ = self.stop.send(());
        let book = self.task.await.unwrap_or_default();
        book.meta()
    }
}

/// A container's cluster and Deployment, and what it has used.
type Read = (ClusterName, String, ContainerUsage);

/// A node as a role, and what it has used.
type ReadNode = (String, Reading);

async fn ask(
    target: &KubeTarget,
    watched: &[Started],
    book: &mut Book,
    events: &Events,
) -> Option<(Vec<Read>, Vec<ReadNode>)> {
    let (mut read, mut nodes) = (Vec::new(), Vec::new());
    for name in [ClusterName::A, ClusterName::B] {
        let of: Vec<&Started> = watched.iter().filter(|one| one.cluster == name).collect();
        let (Ok(cluster), false) = (target.cluster(name), of.is_empty()) else {
            continue;
        };
        let containers: Vec<_> = of.iter().map(|one| one.container.clone()).collect();
        match cluster.usage(&containers).await {
            Ok(usage) => {
                let whole = usage.nodes.into_iter();
                nodes.extend(whole.map(|(node, of)| (format!("node {node} of {name}"), of)));
                let usages = of.iter().zip(usage.containers);
                read.extend(usages.map(|(one, usage)| (name, one.name.clone(), usage)));
            }
            Err(fault) => {
                let told = fault.to_string();
                let what = format!("what pods of cluster {name} used at times");
                if book.missing.insert(what, told.clone()).is_none() {
                    events.now("use not known", "xrbench", &told);
                }
                return None;
            }
        }
    }
    Some((read, nodes))
}

/// A reading of a container.
#[derive(Clone, Copy, Debug)]
struct Point {
    at_ms: i64,
    cpu_s: f64,
    memory: f64,
    throttled_s: Option<f64>,
}

/// The readings of one container.
#[derive(Debug)]
struct Series {
    cluster: ClusterName,
    name: String,
    points: Vec<Point>,
}

/// Every reading that counts.
#[derive(Debug, Default)]
struct Book {
    /// By the container's number.
    series: BTreeMap<String, Series>,
    /// By the role of a node: when it was read last, and its processor time by then.
    nodes: BTreeMap<String, (i64, f64)>,
    /// The beginning of the next interval.
    next_ms: i64,
    /// What is not known, by what it is of.
    missing: BTreeMap<String, String>,
    /// Whether any row was written.
    wrote: bool,
}

impl Book {
    /// The rows of the intervals for which every container is known by now.
    fn pass(&mut self, read: &[Read], now: UnixMicros) -> Vec<ResourceRow> {
        let mut unread = false;
        for (cluster, name, usage) in read {
            unread |= !self.note(*cluster, name, usage);
        }
        if unread {
            return Vec::new();
        }
        let rows = self.rows();
        // Of what has ended since its last reading nobody knows: the intervals until now are left out.
        let before = self.series.len();
        let is_there = |id: &String| read.iter().any(|(.., usage)| usage.container.id == *id);
        self.series.retain(|id, _| is_there(id));
        if self.series.len() < before {
            let now_ms = i64::try_from(now.0 / 1_000).unwrap_or(i64::MAX);
            self.next_ms = self.next_ms.max(now_ms);
        }
        rows
    }

    /// Takes a reading; false where the container has none yet.
    fn note(&mut self, cluster: ClusterName, name: &str, usage: &ContainerUsage) -> bool {
        let id = &usage.container.id;
        let point = usage.reading.and_then(|of| {
            Some(Point {
                at_ms: of.at_ms?,
                cpu_s: of.cpu_s?,
                memory: of.memory_bytes?,
                throttled_s: of.throttled_s,
            })
        });
        let what = format!("the use of {name} in cluster {cluster}");
        let Some(point) = point else {
            if !self.series.contains_key(id) {
                let why = format!("cAdvisor of node {} tells none", usage.container.node);
                self.missing.insert(what, why);
            }
            return self.series.contains_key(id);
        };
        self.missing.remove(&what);
        let first = !self.series.contains_key(id);
        let series = self.series.entry(id.clone()).or_insert_with(|| Series {
            cluster,
            name: name.to_owned(),
            points: Vec::new(),
        });
        if series
            .points
            .last()
            .is_none_or(|last| point.at_ms > last.at_ms)
        {
            series.points.push(point);
        }
        if first {
            // Before it was read first, its share is not known.
            self.next_ms = self.next_ms.max(point.at_ms);
        }
        true
    }

    /// The rows of every interval that lies between readings of all.
    fn rows(&mut self) -> Vec<ResourceRow> {
        let lasts = self.series.values().map(|one| one.points.last());
        let known_ms = lasts.map(|last| last.map_or(0, |last| last.at_ms)).min();
        let mut rows = Vec::new();
        while let Some(to_ms) = known_ms
            .map(|_| self.next_ms + STEP_MS)
            .filter(|to_ms| Some(*to_ms) <= known_ms)
        {
            let from_ms = self.next_ms;
            let mut throttled: BTreeMap<String, f64> = BTreeMap::new();
            let mut shares = Vec::new();
            for series in self.series.values() {
                let (Some(from), Some(to)) = (series.at(from_ms), series.at(to_ms)) else {
                    continue;
                };
                if let Some(seconds) = to.throttled_s {
                    // What holds a cluster back is counted for the whole of it, as in a lab.
                    *throttled.entry(series.cluster.to_string()).or_default() += seconds;
                }
                shares.push((series, from, to));
            }
            for (series, from, to) in shares {
                let cluster = series.cluster.to_string();
                rows.push(ResourceRow {
                    throttled_us: throttled.get(&cluster).copied().and_then(micros),
                    cluster,
                    ..row(&series.name, from, to)
                });
            }
            self.next_ms = to_ms;
            self.wrote = true;
        }
        let next_ms = self.next_ms;
        for series in self.series.values_mut() {
            series.forget_before(next_ms);
        }
        rows
    }

    /// The rows of nodes that were measured anew.
    fn nodes(&mut self, nodes: &[ReadNode]) -> Vec<ResourceRow> {
        let mut rows = Vec::new();
        for (name, of) in nodes {
            let (Some(memory), Some(at_ms), Some(cpu_s)) = (of.memory_bytes, of.at_ms, of.cpu_s)
            else {
                continue;
            };
            let before = self.nodes.get(name).copied();
            if before.is_some_and(|(last_ms, _)| at_ms <= last_ms) {
                continue;
            }
            self.nodes.insert(name.clone(), (at_ms, cpu_s));
            let point = |at_ms, cpu_s| Point {
                at_ms,
                cpu_s,
                memory,
                throttled_s: None,
            };
            rows.extend(
                before.map(|(last_ms, last_s)| {
                    row(name, point(last_ms, last_s), point(at_ms, cpu_s))
                }),
            );
        }
        rows
    }

    fn meta(self) -> ResourcesMeta {
        let mut missing: Vec<String> = self
            .missing
            .into_iter()
            .map(|(what, why)| format!("{what}: {why}"))
            .collect();
        if !self.wrote && missing.is_empty() {
            missing.push("the use of the pods: no kubelet measured them twice".to_owned());
        }
        ResourcesMeta {
            controllers: vec!["cpu".to_owned(), "memory".to_owned()],
            missing,
            limited: Vec::new(),
        }
    }
}

impl Series {
    /// What was used by a time between two readings.
    fn at(&self, at_ms: i64) -> Option<Point> {
        let after = self.points.partition_point(|one| one.at_ms < at_ms);
        let later = *self.points.get(after)?;
        if later.at_ms == at_ms {
            return Some(later);
        }
        let earlier = *self.points.get(after.checked_sub(1)?)?;
        let part = (at_ms - earlier.at_ms) as f64 / (later.at_ms - earlier.at_ms) as f64;
        let between = |one: f64, two: f64| one + (two - one) * part;
        Some(Point {
            at_ms,
            cpu_s: between(earlier.cpu_s, later.cpu_s),
            memory: between(earlier.memory, later.memory),
            throttled_s: (earlier.throttled_s.zip(later.throttled_s))
                .map(|(one, two)| between(one, two)),
        })
    }

    /// Keeps one reading from before this time, and all after it.
    fn forget_before(&mut self, at_ms: i64) {
        let first_after = self.points.partition_point(|one| one.at_ms <= at_ms);
        self.points.drain(..first_after.saturating_sub(1));
    }
}

/// A row of what was used between two times.
fn row(role: &str, from: Point, to: Point) -> ResourceRow {
    let ms = (to.at_ms - from.at_ms).max(1);
    ResourceRow {
        time_us: UnixMicros(u64::try_from(to.at_ms * 1_000).unwrap_or(0)),
        role: role.to_owned(),
        cpu_percent: (to.cpu_s - from.cpu_s).max(0.0) * 1e3 / ms as f64 * 100.0,
        source: SOURCE.to_owned(),
        elapsed_us: u64::try_from(ms * 1_000).ok(),
        cpu_us: micros(to.cpu_s),
        memory_bytes: whole(to.memory),
        ..ResourceRow::default()
    }
}

fn micros(seconds: f64) -> Option<u64> {
    whole(seconds * 1e6)
}

fn whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a positive number below 2^53"
    )]
    (0.0..9e15).contains(&value).then_some(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use cluster::PodContainer;

    use super::*;

    fn read(name: &str, at_ms: i64, cpu_s: f64) -> Read {
        let reading = Reading {
            at_ms: Some(at_ms),
            cpu_s: Some(cpu_s),
            memory_bytes: Some(1e6),
            throttled_s: Some(cpu_s / 10.0),
        };
        let container = PodContainer {
            node: "n".into(),
            pod: format!("{name}-x"),
            id: name.to_owned(),
        };
        let usage = ContainerUsage {
            container,
            reading: Some(reading),
        };
        (ClusterName::A, name.to_owned(), usage)
    }

    const fn second(n: u64) -> UnixMicros {
        UnixMicros(n * 1_000_000)
    }

    #[test]
    fn rows_of_one_time_are_of_every_container() {
        let mut book = Book::default();
        let pass = |book: &mut Book, client: (i64, f64), renderer: (i64, f64)| {
            let read = [
                read("client", client.0, client.1),
                read("renderer", renderer.0, renderer.1),
            ];
            book.pass(&read, second(60))
        };
        assert_eq!(pass(&mut book, (1_000, 1.0), (3_000, 2.0)), []);
        // Only one of them was measured anew.
        assert_eq!(pass(&mut book, (11_000, 2.0), (3_000, 2.0)), []);
        // From 3 s, when both had been read, to 11 s, up to which both are known, lie four intervals.
        let rows = pass(&mut book, (11_000, 2.0), (13_000, 7.0));
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.role.as_str(), row.cpu_percent.round(), row.time_us))
            .collect();
        let both = |n| [("client", 10.0, second(n)), ("renderer", 50.0, second(n))];
        assert_eq!(told, [5, 7, 9, 11].map(both).concat());
        for row in &rows {
            assert_eq!((row.source.as_str(), row.cluster.as_str()), (SOURCE, "a"));
            assert_eq!(row.elapsed_us, Some(2_000_000));
        }
        // 2 s and 6 s of processor time by then, a tenth of each.
        assert_eq!(rows[7].throttled_us, Some(800_000), "of both");
        assert_eq!(
            pass(&mut book, (11_000, 2.0), (13_000, 7.0)),
            [],
            "nothing new"
        );
        assert_eq!(book.meta().missing, Vec::<String>::new());
    }

    #[test]
    fn intervals_in_which_a_container_ended_or_began_are_left_out() {
        let mut book = Book::default();
        for (at_ms, cpu_s) in [(0, 0.0), (10_000, 1.0)] {
            let both = [read("client", at_ms, cpu_s), read("renderer", at_ms, cpu_s)];
            book.pass(&both, second(10));
        }
        // The renderer is gone, and seen to be at 14 s; another comes, and is read first at 22 s.
        let alone = |at_ms, cpu_s| read("client", at_ms, cpu_s);
        assert_eq!(book.pass(&[alone(10_000, 1.0)], second(14)), []);
        assert_eq!(book.next_ms, 14_000);
        let rows = book.pass(&[alone(20_000, 2.0)], second(20));
        assert_eq!(rows.len(), 3, "14 s to 20 s, of the client alone");
        let again = |at_ms, cpu_s| read("renderer-2", at_ms, cpu_s);
        assert_eq!(
            book.pass(&[alone(20_000, 2.0), again(22_000, 0.5)], second(23)),
            []
        );
        let rows = book.pass(&[alone(30_000, 3.0), again(32_000, 1.5)], second(33));
        let times: Vec<u64> = rows.iter().map(|row| row.time_us.0 / 1_000_000).collect();
        assert_eq!(times, [24, 24, 26, 26, 28, 28, 30, 30]);
    }

    #[test]
    fn nodes_have_rows_in_no_cluster() {
        let mut book = Book::default();
        let at = |at_ms, cpu_s| {
            let (_, _, usage) = read("node", at_ms, cpu_s);
            [("node n of a".to_owned(), usage.reading.expect("one"))]
        };
        assert_eq!(book.nodes(&at(1_000, 5.0)), []);
        let rows = book.nodes(&at(11_000, 15.0));
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.cpu_percent, row.cluster.as_str()))
            .collect();
        assert_eq!(told, [(100.0, "")]);
        assert_eq!(book.nodes(&at(11_000, 15.0)), [], "nothing new");
    }

    #[test]
    fn what_is_not_told_is_missing_and_no_zero() {
        let mut book = Book::default();
        let mut untold = read("client", 1_000, 1.0);
        untold.2.reading = None;
        for n in 0..3 {
            assert_eq!(book.pass(&[untold.clone()], second(n)), []);
        }
        let missing = book.meta().missing;
        assert!(missing[0].contains("client in cluster a"), "{missing:?}");
        let never = Book::default().meta().missing;
        assert_eq!(never.len(), 1, "{never:?}");
    }
}
