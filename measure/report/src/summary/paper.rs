//! The figures of the papers, to stand beside ours. They were measured with ffmpeg at both ends and OCR on both clocks, on
//! clusters of 2 processors and 4 GB a node (arXiv 2405.00558).

use serde::{Deserialize, Serialize};

/// One scenario of the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaperScenario {
    /// The paper's number of it, and how the clusters were connected.
    pub name: String,
    /// Median end-to-end latency in microseconds.
    pub p50_us: u64,
    /// Median use of the processors in percent: of the whole VMs, the mean of both clusters where there are two.
    #[serde(default)]
    pub cpu_p50_percent: f64,
}

/// What the paper says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paper {
    /// Where it is published.
    pub source: String,
    /// Its five scenarios.
    pub scenarios: Vec<PaperScenario>,
    /// The 90th percentile of all of them, about, in microseconds.
    pub p90_us: u64,
    /// Standard deviation of its first scenario in microseconds.
    pub stddev_us: u64,
    /// The latency that it asks of a system for XR, in microseconds.
    pub xr_bound_us: u64,
    /// Use of memory in percent, of the whole VMs: the lowest and the highest of its scenarios.
    #[serde(default)]
    pub memory_percent: [f64; 2],
}

impl Paper {
    /// Its figures.
    pub fn figures() -> Self {
        let scenarios = [
            ("s1 single cluster", 762_000, 43.2),
            ("s2 Liqo, one site", 794_000, 31.5),
            ("s3 NodePort, one site", 811_000, 29.4),
            ("s4 Liqo, two sites", 801_000, 33.5),
            ("s5 NodePort, two sites", 824_000, 31.0),
        ];
        Self {
            source: "Theodoropoulos et al., Cross-Cluster Networking to Support Extended Reality Services, arXiv 2405.00558"
                .into(),
            scenarios: scenarios
                .map(|(name, p50_us, cpu_p50_percent)| PaperScenario {
                    name: name.into(),
                    p50_us,
                    cpu_p50_percent,
                })
                .into(),
            p90_us: 1_000_000,
            stddev_us: 202_000,
            xr_bound_us: 15_000,
            memory_percent: [62.0, 70.0],
        }
    }

    /// Its scenario of that number: of `s2`, where ours is named `s2-liqo-local`.
    pub fn scenario_of(&self, name: &str) -> Option<&PaperScenario> {
        let number = name.split('-').next()?;
        self.scenarios
            .iter()
            .find(|scenario| scenario.name.split(' ').next() == Some(number))
    }

    /// The median of its scenario on one cluster, which is what one machine compares with, in microseconds.
    pub fn single_p50_us(&self) -> Option<u64> {
        self.scenarios.first().map(|scenario| scenario.p50_us)
    }
}
