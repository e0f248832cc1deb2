//! CPU and memory of the clusters beside the paper's.

use comfy_table::Table;

use super::empty::empty;
use crate::summary::{PerCluster, Spread, Summary};

/// What stands above the table.
pub(super) const TITLE: &str = "CPU and memory of the pods' processes only, in percent of a cluster's 2 vCPU and 4 GiB, p50 over seconds; the paper's \
     are of whole VMs";

/// The table; none without clusters.
pub(super) fn resources(summary: &Summary, width: Option<u16>) -> Option<Table> {
    let mut table = empty(
        width,
        &[
            "scenario",
            "CPU a",
            "CPU b",
            "CPU mean",
            "p25 - p75",
            "paper CPU",
            "memory a",
            "memory b",
            "memory mean",
            "paper memory",
            "fabric CPU",
            "from",
        ],
    );
    let [low, high] = summary.paper.memory_percent;
    for one in &summary.scenarios {
        let of = &one.resources;
        let (Some(cpu), Some(memory)) = (&of.cpu_percent, &of.memory_percent) else {
            continue;
        };
        let paper = summary.paper.scenario(one.paper);
        let mut cells = vec![one.name.clone()];
        cells.extend(p50s(cpu));
        cells.push(format!("{:.1} - {:.1}", cpu.mean.p25, cpu.mean.p75));
        cells.push(paper.map_or_else(
            || "-".into(),
            |paper| format!("{:.1}", paper.cpu_p50_percent),
        ));
        cells.extend(p50s(memory));
        cells.push(paper.map_or_else(|| "-".into(), |_| format!("{low:.0} - {high:.0}")));
        let fabric = of
            .fabric_processes
            .values()
            .map(|process| process.cpu_percent_p50);
        cells.push(format!("{:.1}", fabric.sum::<f64>() + 0.0));
        cells.push(of.resources_source.clone().unwrap_or_default());
        table.add_row(cells);
    }
    (table.row_count() > 0).then_some(table)
}

fn p50s(of: &PerCluster) -> [String; 3] {
    let text = |spread: Option<Spread>| {
        spread.map_or_else(|| "-".into(), |spread| format!("{:.1}", spread.p50))
    };
    [text(Some(of.a)), text(of.b), text(Some(of.mean))]
}

#[cfg(test)]
mod tests {
    use crate::summary::{PerCluster, Resources, Spread};
    use crate::terminal;

    #[test]
    fn a_scenario_with_clusters_stands_beside_the_papers() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = crate::summary::tests::result(dir.path());
        let mut summary = crate::write(&folder).expect("a result");
        assert!(
            !terminal(&summary, Some(200)).contains("paper CPU"),
            "there are no clusters on the host"
        );
        let all = |p50| Spread {
            p25: p50 - 1.0,
            p50,
            p75: p50 + 1.0,
            ..Spread::default()
        };
        let of = |a, b, mean| {
            Some(PerCluster {
                a: all(a),
                b: Some(all(b)),
                mean: all(mean),
            })
        };
        summary.scenarios[0].paper = Some(2);
        summary.scenarios[0].resources = Resources {
            cpu_percent: of(41.04, 7.3, 24.2),
            memory_percent: of(5.5, 1.5, 3.5),
            resources_source: Some("cgroup-v1".into()),
            ..Resources::default()
        };
        let text = terminal(&summary, Some(220));
        let row = text
            .lines()
            .filter(|line| line.contains("cgroup-v1"))
            .find(|line| line.contains("ours-udp-360p25"))
            .unwrap_or_else(|| panic!("no row in\n{text}"));
        for cell in [
            "41.0",
            "7.3",
            "24.2",
            "23.2 - 25.2",
            "31.5",
            "3.5",
            "62 - 70",
        ] {
            assert!(row.contains(cell), "{cell} is missing in {row}");
        }
        assert!(
            text.contains("processes only") && text.contains("whole VMs"),
            "{text}"
        );
    }
}
