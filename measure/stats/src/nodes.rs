//! What whole nodes used, with everything that runs on them: as shares of what they have, by node and by cluster.

use std::collections::BTreeMap;

use super::Window;

/// A reading of a node, up to a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeReading {
    /// The end of the interval, microseconds since the Unix epoch.
    pub to_us: u64,
    /// The length of the interval in microseconds.
    pub elapsed_us: u64,
    /// The node, unique over all clusters.
    pub node: String,
    /// The cluster of the node: `a` or `b`.
    pub cluster: String,
    /// Processors in use, in thousandths of one.
    pub cpu_millis: f64,
    /// Memory in use, in bytes.
    pub memory_bytes: f64,
    /// Processors that the node has, in thousandths of one.
    pub has_cpu_millis: f64,
    /// Memory that the node has, in bytes.
    pub has_memory_bytes: f64,
}

/// A share of what a node or all nodes of a cluster have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeShare {
    /// Processors in use, in percent of those that are there.
    pub cpu_percent: f64,
    /// Memory in use, in percent of that which is there.
    pub memory_percent: f64,
}

/// All nodes in one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodesSecond {
    /// Seconds of the interval that were measured: what it weighs.
    pub measured_s: f64,
    /// The nodes of cluster A together; none where none was read.
    pub a: Option<NodeShare>,
    /// The nodes of cluster B together; none where none was read.
    pub b: Option<NodeShare>,
    /// Each node.
    pub each: BTreeMap<String, NodeShare>,
}

impl NodesSecond {
    /// A figure of this interval, the mean of both clusters; of cluster A where there is no other.
    pub fn mean(&self, has_b: bool, figure: impl Fn(&NodeShare) -> f64) -> Option<f64> {
        let a = figure(self.a.as_ref()?);
        if !has_b {
            return Some(a);
        }
        Some(f64::midpoint(a, figure(self.b.as_ref()?)))
    }
}

/// The intervals of readings, in the order of time, that lie in `window` or reach into it.
pub fn of(readings: &[NodeReading], window: Window) -> Vec<NodesSecond> {
    let intervals = readings.chunk_by(|one, two| one.to_us == two.to_us);
    let measured = intervals.map(|of| {
        let interval = Window::ending(of[0].to_us, of[0].elapsed_us);
        (of, interval.overlap_s(window))
    });
    measured
        .filter(|(_, measured_s)| *measured_s > 0.0)
        .map(|(of, measured_s)| {
            let cluster = |name: &str| share(of.iter().filter(|one| one.cluster == name));
            let each = of
                .iter()
                .filter_map(|one| Some((one.node.clone(), share([one])?)));
            NodesSecond {
                measured_s,
                a: cluster("a"),
                b: cluster("b"),
                each: each.collect(),
            }
        })
        .collect()
}

/// What several nodes use of all that they have together; none where they have nothing.
fn share<'a>(nodes: impl IntoIterator<Item = &'a NodeReading>) -> Option<NodeShare> {
    let mut sum = NodeReading::default();
    for one in nodes {
        sum.cpu_millis += one.cpu_millis;
        sum.memory_bytes += one.memory_bytes;
        sum.has_cpu_millis += one.has_cpu_millis;
        sum.has_memory_bytes += one.has_memory_bytes;
    }
    (sum.has_cpu_millis > 0.0 && sum.has_memory_bytes > 0.0).then(|| NodeShare {
        cpu_percent: sum.cpu_millis / sum.has_cpu_millis * 100.0,
        memory_percent: sum.memory_bytes / sum.has_memory_bytes * 100.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(to_s: u64, node: &str, cluster: &str, cpu_millis: f64) -> NodeReading {
        NodeReading {
            to_us: to_s * 1_000_000,
            elapsed_us: 2_000_000,
            node: node.into(),
            cluster: cluster.into(),
            cpu_millis,
            memory_bytes: 1e9,
            has_cpu_millis: 2_000.0,
            has_memory_bytes: 4e9,
        }
    }

    #[test]
    fn clusters_are_all_of_their_nodes_together() {
        let readings = [
            reading(2, "one", "a", 500.0),
            reading(2, "two", "a", 1_500.0),
            reading(2, "far", "b", 400.0),
            reading(12, "one", "a", 2_000.0),
        ];
        let window = Window {
            from_us: 0,
            to_us: 11_000_000,
        };
        let found = of(&readings, window);
        let weights: Vec<_> = found.iter().map(|one| one.measured_s).collect();
        assert_eq!(weights, [2.0, 1.0], "half of the other one is outside");
        let cpu = |share: &NodeShare| format!("{:.1}", share.cpu_percent);
        let second = &found[0];
        assert_eq!(second.a.as_ref().map(cpu).as_deref(), Some("50.0"));
        assert_eq!(second.b.as_ref().map(cpu).as_deref(), Some("20.0"));
        let each: Vec<_> = second.each.values().map(cpu).collect();
        assert_eq!(each, ["20.0", "25.0", "75.0"]);
        let mean = |of: &NodesSecond, has_b| of.mean(has_b, |share| share.memory_percent);
        assert_eq!(mean(second, true), Some(25.0));
        let alone = NodesSecond {
            b: None,
            ..second.clone()
        };
        assert_eq!(mean(&alone, true), None, "half of it is no mean of both");
        assert_eq!(mean(&alone, false), Some(25.0));
    }

    #[test]
    fn a_node_of_unknown_size_has_no_share() {
        let unknown = NodeReading {
            has_memory_bytes: 0.0,
            ..reading(2, "one", "a", 500.0)
        };
        let window = Window {
            from_us: 0,
            to_us: u64::MAX,
        };
        let found = &of(&[unknown], window)[0];
        assert_eq!((found.a, found.each.len()), (None, 0));
    }
}
