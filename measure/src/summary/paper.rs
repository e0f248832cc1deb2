//! The figures of the papers, to stand beside ours. They were measured with ffmpeg at both ends and OCR on both clocks, on
//! clusters of 2 processors and 4 GB a node (arXiv 2405.00558).

use serde::{Deserialize, Serialize};

/// One scenario of the paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperScenario {
    /// The paper's number of it, and how the clusters were connected.
    pub name: String,
    /// Median end-to-end latency in microseconds.
    pub p50_us: u64,
}

/// What the paper says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Paper {
    /// Its figures.
    pub fn figures() -> Self {
        let scenarios = [
            ("s1 single cluster", 762_000),
            ("s2 Liqo, one site", 794_000),
            ("s3 NodePort, one site", 811_000),
            ("s4 Liqo, two sites", 801_000),
            ("s5 NodePort, two sites", 824_000),
        ];
        Self {
            source: "Theodoropoulos et al., Cross-Cluster Networking to Support Extended Reality Services, arXiv 2405.00558"
                .into(),
            scenarios: scenarios
                .map(|(name, p50_us)| PaperScenario {
                    name: name.into(),
                    p50_us,
                })
                .into(),
            p90_us: 1_000_000,
            stddev_us: 202_000,
            xr_bound_us: 15_000,
        }
    }

    /// The median of its scenario on one cluster, which is what one machine compares with, in microseconds.
    pub fn single_p50_us(&self) -> Option<u64> {
        self.scenarios.first().map(|scenario| scenario.p50_us)
    }
}
