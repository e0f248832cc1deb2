//! The summary in the schema of perfdash, the dashboard of Kubernetes' performance tests (`k8s.io/kubernetes`,
//! `test/e2e/perftype`): percentiles under labels.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;

use crate::summary::{FindingKind, Summary};
use result::write_json;

/// A file of Kubernetes' perfdash.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PerfData {
    /// The version of perfdash's schema.
    pub version: &'static str,
    pub data_items: Vec<DataItem>,
    /// The labels of the whole file.
    pub labels: BTreeMap<&'static str, String>,
}

/// Percentiles of one thing, under labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataItem {
    /// The percentiles by name: `Perc50`, `Perc90`, `Perc99`.
    pub data: BTreeMap<&'static str, f64>,
    /// The unit of the percentiles.
    pub unit: &'static str,
    pub labels: BTreeMap<&'static str, String>,
}

/// The summary as perfdash reads it: latency, stages, floor in milliseconds, lost frames in percent of those by which a loss
/// is judged, and how many of the planned repetitions they are of.
pub fn data(summary: &Summary) -> PerfData {
    let mut items = Vec::new();
    for one in &summary.scenarios {
        let finding = one.finding().map(|finding| finding.kind);
        // By clocks that disagree nothing has a time.
        let has_times = finding != Some(FindingKind::Clocks);
        let labels = |metric: &str| {
            BTreeMap::from([
                ("Metric", metric.to_owned()),
                ("Scenario", one.name.clone()),
                ("Pipeline", one.pipeline.to_string()),
                ("Transport", one.transport.clone()),
                // perfdash draws only what has every label that some item of the file has.
                ("Stage", "all".to_owned()),
            ])
        };
        if let Some(latency) = one.latency_us.as_ref().filter(|_| has_times) {
            let of = latency.figures;
            items.push(percentiles(
                [Some(of.p50), Some(of.p90), of.p99],
                labels("latency"),
            ));
        }
        let stages = one.stages_us.iter().flatten().filter(|_| has_times);
        for (stage, of) in stages {
            let mut labels = labels("stage");
            labels.insert("Stage", stage.clone());
            // A stage's tail is of as few pictures as the latency's.
            let has_tail = one.latency_us.is_some_and(|all| all.figures.p99.is_some());
            let p99 = has_tail.then_some(of.p99);
            items.push(percentiles([Some(of.p50), Some(of.p90), p99], labels));
        }
        if let Some(of) = &one.floor_us {
            items.push(percentiles(
                [Some(of.p50), Some(of.p90), of.p99],
                labels("floor"),
            ));
        }
        items.push(DataItem {
            data: BTreeMap::from([
                ("Planned", f64::from(one.runs.planned)),
                ("Whole", f64::from(one.runs.whole)),
            ]),
            unit: "",
            labels: labels("repetitions"),
        });
        if let Some(lost) = one.judged_frames().lost_share() {
            items.push(DataItem {
                data: BTreeMap::from([("Lost", lost * 100.0)]),
                unit: "%",
                labels: labels("lost"),
            });
        }
    }
    PerfData {
        version: "v1",
        data_items: items,
        labels: BTreeMap::from([
            ("Result", summary.name.clone()),
            ("Host", summary.machine.host.clone()),
            ("Kernel", summary.machine.kernel.clone()),
        ]),
    }
}

pub fn write(path: &Path, summary: &Summary) -> anyhow::Result<()> {
    write_json(path, &data(summary))
}

/// p50, p90 and p99 in microseconds, those that there are.
fn percentiles(of_us: [Option<i64>; 3], labels: BTreeMap<&'static str, String>) -> DataItem {
    let names = ["Perc50", "Perc90", "Perc99"];
    DataItem {
        data: names
            .into_iter()
            .zip(of_us)
            .filter_map(|(name, us)| Some((name, us? as f64 / 1e3)))
            .collect(),
        unit: "ms",
        labels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::{build, load, tests::result};

    #[test]
    fn percentiles_stand_under_their_labels() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let summary = build(&load(&result(dir.path())).expect("a result"));
        let path = dir.path().join("perfdash.json");
        write(&path, &summary).expect("written");
        let text = std::fs::read(&path).expect("there");
        let value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(
            (&value["version"], &value["labels"]["Result"]),
            (&"v1".into(), &"small".into())
        );
        let items = value["dataItems"].as_array().expect("a list");
        let of = |scenario: &str, metric: &str| -> Vec<&serde_json::Value> {
            items
                .iter()
                .filter(|item| {
                    item["labels"]["Scenario"] == scenario && item["labels"]["Metric"] == metric
                })
                .collect()
        };
        let latency = of("ours-udp-360p25", "latency");
        let p50 = summary.scenarios[0]
            .latency_us
            .expect("samples")
            .figures
            .p50;
        assert_eq!(latency.len(), 1);
        assert_eq!(latency[0]["data"]["Perc50"], p50 as f64 / 1e3);
        assert_eq!(latency[0]["unit"], "ms");
        assert!(latency[0]["data"]["Perc99"].as_f64() > latency[0]["data"]["Perc90"].as_f64());
        assert_eq!(of("ours-udp-360p25", "stage").len(), 5);
        let labels = |item: &serde_json::Value| -> Vec<String> {
            let labels = item["labels"].as_object().expect("labels");
            labels.keys().cloned().collect()
        };
        assert!(items.iter().all(|item| labels(item) == labels(&items[0])));
        assert_eq!(of("ours-udp-360p25", "floor").len(), 1);
        let lost = of("ours-udp-360p25", "lost")[0]["data"]["Lost"].as_f64();
        assert!(
            lost.is_some_and(|lost| (lost - 100.0 / 225.0).abs() < 1e-9),
            "of undisturbed seconds: {lost:?}"
        );
        let repetitions = &of("reference-360p25", "repetitions")[0]["data"];
        assert_eq!(
            (&repetitions["Planned"], &repetitions["Whole"]),
            (&1.0.into(), &1.0.into())
        );
        assert_eq!(
            of("reference-360p25", "stage").len(),
            0,
            "ffmpeg does not say"
        );
    }
}
