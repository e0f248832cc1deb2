//! What the pods use, as their kubelets tell it: rows of `resources.csv`, as a lab has them.
//!
//! A kubelet measures each container about every ten seconds, at times of its own. Processor time between two readings is
//! taken to have been used evenly, so that every container has a share in each interval of a [`Grid`]; an interval for which
//! some container has no reading on both sides is left out. Whole nodes have rows too, in no cluster and on a grid of their own: the
//! paper's figures are of whole machines.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cluster::{ContainerUsage, NodeUsage};
use parking_lot::Mutex;
use result::rows::ResourceRow;
use result::{NodeMeta, ResourcesMeta};
use service::clock;
use settings::ClusterName;
use timeline::UnixMicros;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::grid::{Grid, Point, Used};
use super::pods::Started;
use super::target::KubeTarget;
use crate::run::events::Events;
use crate::run::place::terms::Setup;

/// How often the kubelets are asked.
const EVERY: Duration = Duration::from_secs(2);

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
                    rows.push(book.nodes(&nodes, clock::now()));
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

/// A node's cluster, and what the node has used.
type ReadNode = (ClusterName, NodeUsage);

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
                nodes.extend(usage.nodes.into_iter().map(|node| (name, node)));
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

/// Every reading that counts.
#[derive(Debug, Default)]
struct Book {
    /// By the container's number: its cluster and Deployment.
    pods: Grid<(ClusterName, String)>,
    /// By the node's role in the rows.
    nodes: Grid<String>,
    /// What each node has.
    sizes: BTreeMap<String, NodeMeta>,
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
        let mut rows = Vec::new();
        for used in self.pods.intervals() {
            rows.extend(of_pods(&used));
            self.wrote = true;
        }
        let is_there = |id: &str| read.iter().any(|(.., usage)| usage.container.id == id);
        self.pods.keep(is_there, ms(now));
        rows
    }

    /// Takes a reading; false where the container has none yet.
    fn note(&mut self, cluster: ClusterName, name: &str, usage: &ContainerUsage) -> bool {
        let id = &usage.container.id;
        let what = format!("the use of {name} in cluster {cluster}");
        let Some(point) = usage.reading.as_ref().and_then(Point::of) else {
            if !self.pods.has(id) {
                let why = format!("cAdvisor of node {} tells none", usage.container.node);
                self.missing.insert(what, why);
            }
            return self.pods.has(id);
        };
        self.missing.remove(&what);
        self.pods.note(id, &(cluster, name.to_owned()), point);
        true
    }

    /// The rows of the intervals for which every node is known by now.
    fn nodes(&mut self, read: &[ReadNode], now: UnixMicros) -> Vec<ResourceRow> {
        for (cluster, of) in read {
            let role = role(*cluster, &of.node);
            let what = format!("the use of {role}");
            let size = of.machine.cpus.zip(of.machine.memory_bytes);
            let (Some(point), Some((cpus, memory_bytes))) =
                (of.reading.as_ref().and_then(Point::of), size)
            else {
                if !self.nodes.has(&role) {
                    let why = "its kubelet does not tell what all of it uses, and what it has";
                    self.missing.insert(what, why.to_owned());
                }
                continue;
            };
            self.missing.remove(&what);
            self.nodes.note(&role, &role, point);
            let size = NodeMeta {
                name: of.node.clone(),
                cluster: cluster.to_string(),
                cpu_millis: whole(cpus * 1e3).unwrap_or(0),
                memory_bytes: whole(memory_bytes).unwrap_or(0),
            };
            self.sizes.insert(role, size);
        }
        let mut rows = Vec::new();
        for used in self.nodes.intervals().iter().flatten() {
            rows.push(row(&used.what, used.from, used.to));
        }
        let is_there = |name: &str| read.iter().any(|(of, one)| role(*of, &one.node) == name);
        self.nodes.keep(is_there, ms(now));
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
            kubelets: true,
            nodes: self.sizes,
        }
    }
}

/// A node in the rows, and in the meta beside them: nodes of two clusters may have one name.
fn role(cluster: ClusterName, node: &str) -> String {
    format!("node {node} of {cluster}")
}

/// The rows of pods in one interval.
fn of_pods(used: &[Used<(ClusterName, String)>]) -> Vec<ResourceRow> {
    let mut throttled: BTreeMap<String, f64> = BTreeMap::new();
    for one in used {
        if let Some(seconds) = one.to.throttled_s {
            // What holds a cluster back is counted for the whole of it, as in a lab.
            *throttled.entry(one.what.0.to_string()).or_default() += seconds;
        }
    }
    let rows = used.iter().map(|one| {
        let cluster = one.what.0.to_string();
        ResourceRow {
            throttled_us: throttled.get(&cluster).copied().and_then(micros),
            cluster,
            ..row(&one.what.1, one.from, one.to)
        }
    });
    rows.collect()
}

fn ms(at: UnixMicros) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)
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
    use cluster::cadvisor::{Machine, Reading};

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

    fn node(cluster: ClusterName, at_ms: i64, cpu_s: f64) -> ReadNode {
        let (_, _, usage) = read("node", at_ms, cpu_s);
        let of = NodeUsage {
            node: "n".into(),
            reading: usage.reading,
            machine: Machine {
                cpus: Some(2.0),
                memory_bytes: Some(4e9),
            },
        };
        (cluster, of)
    }

    #[test]
    fn nodes_have_rows_in_no_cluster_at_the_same_times() {
        let mut book = Book::default();
        let (a, b) = (ClusterName::A, ClusterName::B);
        let first = [node(a, 1_000, 5.0), node(b, 2_000, 7.0)];
        assert_eq!(book.nodes(&first, second(60)), []);
        let next = [node(a, 11_000, 15.0), node(b, 4_000, 7.5)];
        let rows = book.nodes(&next, second(60));
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.role.as_str(),
                    row.cluster.as_str(),
                    row.cpu_percent.round(),
                    row.time_us,
                )
            })
            .collect();
        let expected = [
            ("node n of a", "", 100.0, second(4)),
            ("node n of b", "", 25.0, second(4)),
        ];
        assert_eq!(told, expected);
        let sizes = book.meta().nodes;
        let of_b = &sizes["node n of b"];
        assert_eq!((of_b.cluster.as_str(), of_b.cpu_millis), ("b", 2_000));
    }

    #[test]
    fn a_node_that_tells_nothing_of_the_whole_is_missing_and_keeps_no_pod_back() {
        let mut book = Book::default();
        let (cluster, mut untold) = node(ClusterName::A, 1_000, 5.0);
        untold.machine.cpus = None;
        assert_eq!(book.nodes(&[(cluster, untold)], second(1)), []);
        let pods = [(1_000, 1.0), (5_000, 2.0)]
            .map(|(at_ms, cpu_s)| book.pass(&[read("client", at_ms, cpu_s)], second(9)).len());
        assert_eq!(pods, [0, 2]);
        let missing = book.meta().missing;
        assert!(missing[0].contains("node n of a"), "{missing:?}");
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
