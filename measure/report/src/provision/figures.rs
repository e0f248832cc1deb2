//! The figures of each kind of cluster. Pure.

use std::collections::{BTreeMap, HashMap};

use result::provision::{
    ClusterOutcome, ClusterRow, ProvisionCell, ProvisionInfo, Transition, TransitionRow,
};
use strum::IntoEnumIterator as _;

/// What the clusters of one kind took.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CellFigures {
    pub cell: ProvisionCell,
    pub planned: u32,
    /// Clusters whose nodes all became ready. Only their times are figures.
    pub ready: usize,
    /// Times from the Cluster's acceptance to each step, in microseconds, ascending.
    pub elapsed_us: BTreeMap<Transition, Vec<u64>>,
    /// Times from one step to the next, in microseconds, ascending.
    pub step_us: BTreeMap<Transition, Vec<u64>>,
    /// Times of deletion, in microseconds, ascending.
    pub deletion_us: Vec<u64>,
    /// Times that manifests took to be made, in microseconds, ascending.
    pub generation_us: Vec<u64>,
    /// The clusters that did not become ready, with the reason.
    pub failures: Vec<(String, String)>,
}

/// The steps in their usual order, of which each is measured from the one before: both readings of a ready control plane begin at
/// the API server's, so only one is in the chain.
const CHAIN: [Transition; 9] = [
    Transition::InfrastructureReady,
    Transition::MachineCreated,
    Transition::BootstrapReady,
    Transition::VmActive,
    Transition::ControlPlaneInitialized,
    Transition::NodeRegistered,
    Transition::NodeReady,
    Transition::ControlPlaneAvailable,
    Transition::AllNodesReady,
];

impl CellFigures {
    /// The times to a step; none where no cluster came to it.
    pub(super) fn to(&self, step: Transition) -> &[u64] {
        self.elapsed_us.get(&step).map_or(&[], Vec::as_slice)
    }
}

/// The figures of every kind of cluster, in the matrix' order.
pub(super) fn cells(
    info: &ProvisionInfo,
    clusters: &[ClusterRow],
    transitions: &[TransitionRow],
) -> Vec<CellFigures> {
    let mut by_cluster: HashMap<&str, BTreeMap<Transition, u64>> = HashMap::new();
    for row in transitions {
        by_cluster
            .entry(&row.cluster)
            .or_default()
            .insert(row.transition, row.elapsed_us);
    }
    info.cells
        .iter()
        .map(|cell| {
            let mut figures = CellFigures {
                cell: cell.clone(),
                planned: info.repetitions,
                ..CellFigures::default()
            };
            for row in clusters.iter().filter(|row| row.cell() == *cell) {
                figures.generation_us.push(row.generation_us);
                if row.outcome != ClusterOutcome::Ready {
                    let why = format!("{}: {}", row.outcome, row.detail);
                    figures.failures.push((row.cluster.clone(), why));
                    continue;
                }
                figures.ready += 1;
                figures.deletion_us.extend(row.deletion_us);
                let Some(steps) = by_cluster.get(row.cluster.as_str()) else {
                    continue;
                };
                for step in Transition::iter() {
                    if let Some(us) = steps.get(&step) {
                        figures.elapsed_us.entry(step).or_default().push(*us);
                    }
                }
                let mut before = 0;
                for step in CHAIN {
                    // Workers may be ready before the control plane is: then the last step took no time.
                    if let Some(us) = steps.get(&step) {
                        figures
                            .step_us
                            .entry(step)
                            .or_default()
                            .push(us.saturating_sub(before));
                        before = before.max(*us);
                    }
                }
            }
            let values = figures
                .elapsed_us
                .values_mut()
                .chain(figures.step_us.values_mut());
            let others = [&mut figures.deletion_us, &mut figures.generation_us];
            values.chain(others).for_each(|all| all.sort_unstable());
            figures
        })
        .collect()
}

/// Seconds with as many digits as say something.
pub(super) fn seconds(us: u64) -> String {
    let seconds = us as f64 / 1e6;
    if seconds < 10.0 {
        format!("{seconds:.2}")
    } else {
        format!("{seconds:.1}")
    }
}

/// The mean and the standard deviation, in seconds; the latter absent for one value.
pub(super) fn mean_and_deviation(us: &[u64]) -> Option<(f64, Option<f64>)> {
    let count = us.len() as f64;
    let mean = us.iter().map(|us| *us as f64 / 1e6).sum::<f64>() / count;
    let squares: f64 = us.iter().map(|us| (*us as f64 / 1e6 - mean).powi(2)).sum();
    (!us.is_empty()).then(|| {
        (
            mean,
            (us.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        )
    })
}

/// The sentence that stands wherever figures of a simulated provider are shown.
pub(super) fn simulated(info: &ProvisionInfo) -> Option<String> {
    info.simulated.as_ref().map(|of| {
        format!(
            "Simulated: no cluster was provisioned. A provider that xrbench plays walked the objects through their conditions on a \
             real API server, at times drawn from a profile, {} times as fast",
            of.time_scale
        )
    })
}
