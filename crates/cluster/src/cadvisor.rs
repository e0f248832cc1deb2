//! What a kubelet's cAdvisor tells of containers: Prometheus's text format, of which a few families are read. Pure, and total:
//! a line that is not understood is passed over.

use std::collections::BTreeMap;

/// What one container has used, as it was last measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// When it was measured, milliseconds since the Unix epoch by the node's clock; absent where cAdvisor does not say.
    pub at_ms: Option<i64>,
    /// Processor time from its beginning, in seconds.
    pub cpu_s: Option<f64>,
    /// Memory in bytes: the charge without inactive file pages.
    pub memory_bytes: Option<f64>,
    /// For how long its limit held its processors back, in seconds.
    pub throttled_s: Option<f64>,
}

/// What a node has, as cAdvisor tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Machine {
    /// How many processors the node has.
    pub cpus: Option<f64>,
    /// The memory of the node in bytes.
    pub memory_bytes: Option<f64>,
}

const CPU: &str = "container_cpu_usage_seconds_total";
const MEMORY: &str = "container_memory_working_set_bytes";
const THROTTLED: &str = "container_cpu_cfs_throttled_seconds_total";
const CPUS: &str = "machine_cpu_cores";
const MEMORY_THERE: &str = "machine_memory_bytes";

/// The readings of one page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// By the control group of each: cAdvisor's label `id`.
    readings: BTreeMap<String, Reading>,
    machine: Machine,
}

impl Page {
    /// Reads a page of the kubelet's cAdvisor metrics.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some(sample) = Sample::parse(line) {
                page.add(&sample);
            }
        }
        page
    }

    /// The reading of a container, by the number that the runtime gave it: its control group is named after it, with or
    /// without the runtime's name and a suffix.
    pub fn container(&self, id: &str) -> Option<&Reading> {
        // An empty number would be in every name.
        let found = self.readings.iter().find(|(group, _)| {
            let last = group.rsplit('/').next().unwrap_or_default();
            !id.is_empty() && last.contains(id)
        });
        found.map(|(_, reading)| reading)
    }

    /// The reading of the whole node.
    pub fn node(&self) -> Option<&Reading> {
        self.readings.get("/")
    }

    /// Processors and memory of the node itself.
    pub const fn machine(&self) -> Machine {
        self.machine
    }

    fn add(&mut self, sample: &Sample<'_>) {
        match sample.name {
            CPUS => self.machine.cpus = Some(sample.value),
            MEMORY_THERE => self.machine.memory_bytes = Some(sample.value),
            _ => {}
        }
        if ![CPU, MEMORY, THROTTLED].contains(&sample.name) {
            return;
        }
        let Some(group) = sample.label("id") else {
            return;
        };
        // Older ones tell each processor's share beside the sum.
        if sample.name == CPU && sample.label("cpu").is_some_and(|cpu| cpu != "total") {
            return;
        }
        let reading = self.readings.entry(group).or_default();
        match sample.name {
            CPU => {
                reading.cpu_s = Some(sample.value);
                reading.at_ms = sample.at_ms;
            }
            MEMORY => reading.memory_bytes = Some(sample.value),
            _ => reading.throttled_s = Some(sample.value),
        }
    }
}

/// A line of the format: a name, perhaps labels, a value, perhaps a time.
#[derive(Debug)]
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
    at_ms: Option<i64>,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let line = line.trim();
        let (name, rest) = line.split_at(line.find(['{', ' '])?);
        let (labels, values) = match rest.strip_prefix('{') {
            Some(rest) => {
                let end = end_of_labels(rest)?;
                (&rest[..end], &rest[end + 1..])
            }
            None => ("", rest),
        };
        let mut words = values.split_whitespace();
        let value: f64 = words.next()?.parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(Self {
            name,
            labels,
            value,
            at_ms: words.next().and_then(|word| word.parse().ok()),
        })
    }

    /// The value of a label, without its escapes.
    fn label(&self, wanted: &str) -> Option<String> {
        let mut rest = self.labels;
        loop {
            let (name, after) = rest.split_once("=\"")?;
            let end = end_of_text(after)?;
            if name.trim_start_matches([',', ' ']) == wanted {
                return Some(unescaped(&after[..end]));
            }
            rest = &after[end + 1..];
        }
    }
}

/// Where the brace is that closes the labels: not one in a label's value.
fn end_of_labels(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let next = at + text[at..].find(['"', '}'])?;
        if text[next..].starts_with('}') {
            return Some(next);
        }
        let value = next + 1;
        at = value + end_of_text(&text[value..])? + 1;
    }
}

/// Where the quote is that closes a label's value.
fn end_of_text(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        plain.push(if escaped && c == 'n' { '\n' } else { c });
        escaped = false;
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the kubelet of Kubernetes 1.20 wrote it, shortened.
    const PAGE: &str = r#"# HELP cadvisor_version_info A metric with a constant '1' value
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="",cpu="total",id="/",image="",name="",namespace="",pod=""} 1234.5 1700000000123
container_cpu_usage_seconds_total{container="",cpu="total",id="/kube-kxa/kubepods/pod7ad1/3f2aab99",image="",name="",namespace="",pod=""} 6.25 1700000001456
container_cpu_usage_seconds_total{container="",cpu="cpu00",id="/kube-kxa/kubepods/pod7ad1/3f2aab99",image="",name="",namespace="",pod=""} 3.25 1700000001456
container_memory_working_set_bytes{container="client",id="/kubepods.slice/kubepods-pod7.slice/cri-containerd-77beef.scope",name="a}b\"c"} 1.048576e+06 1700000001500
container_memory_working_set_bytes{id="/kube-kxa/kubepods/pod7ad1/3f2aab99"} 2097152 1700000001456
container_cpu_cfs_throttled_seconds_total{id="/kube-kxa/kubepods/pod7ad1/3f2aab99"} 0.5 1700000001456
container_memory_working_set_bytes{id="/x"} NaN
machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 2
# TYPE machine_memory_bytes gauge
machine_memory_bytes 4.131893248e+09
"#;

    #[test]
    fn a_container_is_found_by_its_number_however_its_group_is_named() {
        let page = Page::parse(PAGE);
        let expected = Reading {
            at_ms: Some(1_700_000_001_456),
            cpu_s: Some(6.25),
            memory_bytes: Some(2_097_152.0),
            throttled_s: Some(0.5),
        };
        assert_eq!(page.container("3f2aab99"), Some(&expected));
        let scoped = page.container("77beef").expect("found");
        assert_eq!(scoped.memory_bytes, Some(1_048_576.0));
        assert_eq!(scoped.cpu_s, None, "what is missing is no zero");
        assert_eq!(page.node().and_then(|node| node.cpu_s), Some(1234.5));
        let has = Machine {
            cpus: Some(2.0),
            memory_bytes: Some(4_131_893_248.0),
        };
        assert_eq!(page.machine(), has, "with labels, and without");
        assert_eq!((page.container("other"), page.container("")), (None, None));
        assert_eq!(page.container("x"), None, "no number is no reading");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(text in "(?s).{0,200}", labels in "[a-z=\",\\\\{} ]{0,60}") {
            Page::parse(&text);
            Page::parse(&format!("container_cpu_usage_seconds_total{{id=\"{labels}\"}} 1 2"));
            Page::parse(&format!("container_cpu_usage_seconds_total{{{labels} 1"));
        }
    }
}
