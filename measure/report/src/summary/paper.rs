//! The figures of the papers, to stand beside ours. They were measured with ffmpeg at both ends and OCR on both clocks, on
//! clusters of 2 processors and 4 GB a node (arXiv 2405.00558).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One scenario of the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PaperScenario {
    /// The paper's number of the scenario, from 1.
    #[schemars(range(min = 1))]
    pub number: u8,
    /// The number, and how the clusters were connected.
    pub name: String,
    /// Median end-to-end latency in microseconds.
    pub p50_us: u64,
    /// 90th percentile in microseconds, about: the paper gives one for all of its scenarios.
    pub p90_us: u64,
    /// Standard deviation in microseconds; null where the paper gives none.
    pub stddev_us: Option<u64>,
    /// Median use of the processors in percent: of the whole VMs, the mean of both clusters where there are two.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub cpu_p50_percent: f64,
}

/// The figures of the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Paper {
    /// The authors, the title and the place of publication.
    pub source: String,
    /// The five scenarios of the paper.
    pub scenarios: Vec<PaperScenario>,
    /// The latency that the paper asks of a system for XR, in microseconds.
    pub xr_bound_us: u64,
    /// Use of memory in percent, of the whole VMs: the lowest and the highest of its scenarios.
    #[serde(default)]
    #[schemars(inner(range(min = 0, max = 100)))]
    pub memory_percent: [f64; 2],
}

impl Paper {
    pub fn figures() -> Self {
        let scenarios = [
            (1, "s1 single cluster", 762_000, Some(202_000), 43.2),
            (2, "s2 Liqo, one site", 794_000, None, 31.5),
            (3, "s3 NodePort, one site", 811_000, None, 29.4),
            (4, "s4 Liqo, two sites", 801_000, None, 33.5),
            (5, "s5 NodePort, two sites", 824_000, None, 31.0),
        ];
        Self {
            source: "Theodoropoulos et al., Cross-Cluster Networking to Support Extended Reality Services, arXiv 2405.00558"
                .into(),
            scenarios: scenarios
                .map(|(number, name, p50_us, stddev_us, cpu_p50_percent)| PaperScenario {
                    number,
                    name: name.into(),
                    p50_us,
                    p90_us: 1_000_000,
                    stddev_us,
                    cpu_p50_percent,
                })
                .into(),
            xr_bound_us: 15_000,
            memory_percent: [62.0, 70.0],
        }
    }

    /// The paper's scenario of that number.
    pub fn scenario(&self, number: Option<u8>) -> Option<&PaperScenario> {
        let found = |one: &&PaperScenario| Some(one.number) == number;
        self.scenarios.iter().find(found)
    }
}
