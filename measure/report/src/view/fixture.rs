//! A summary with one of everything that is shown, made up: short names and round figures, so that a snapshot can be read.

use std::collections::BTreeMap;

use timeline::{Stage, UnixMicros};

use crate::summary::{
    ClockFigures, Comparison, Difference, DifferenceUs, DisplayFigures, FabricProcess,
    FloorSummary, FloorUs, FrameCounts, Freezes, FromTickUs, GapUs, Goodput, JitterUs,
    LatencyFigures, LatencyUs, Network, Node, Nodes, Note, NoteKind, OcrCounts, Paper, Part,
    PartsUs, PerCluster, Points, Resources, Runs, ScenarioSummary, Setting, Spread, StageUs,
    Summary, UncertaintyUs, Undisturbed,
};
use result::{
    FabricMeta, Machine, OverlayBackend, Pipeline, RunState, TunnelBackend, WanBackend, WanMeta,
};

/// Ours on one host, ours between clusters, ffmpeg without a sample on a machine that is too slow, and a floor.
pub(crate) fn summary() -> Summary {
    Summary {
        schema_version: 3,
        name: "made up".into(),
        state: RunState::Finished,
        presentation: None,
        started_us: UnixMicros(0),
        ended_us: None,
        machine: Machine {
            cores: 2,
            cpu: "a processor".into(),
            kernel: "a kernel".into(),
            ..Machine::default()
        },
        calibration: None,
        versions: BTreeMap::new(),
        scenarios: vec![host(), clusters(), reference()],
        floors: vec![FloorSummary {
            name: "floor".into(),
            runs: runs(3, 3),
            frames: frames(Some(1_000), 1_000),
            pictures: Some(250),
            latency_us: Some(latency(4_000)),
            uncertainty_us: Some(uncertainty()),
            stages_us: stages(&[Stage::Encode, Stage::Decode]),
            codec_gap_us: Some(10),
            notes: Vec::new(),
        }],
        comparisons: vec![Comparison {
            ours: "s1".into(),
            reference: "ffmpeg".into(),
            p50_ratio: 95.25,
            sustained: false,
        }],
        clock_uncertainty_us: 0,
        differences: vec![difference("s1", "s2", 500.0), difference("s1", "s3", -20.0)],
        paper: Paper::figures(),
    }
}

fn host() -> ScenarioSummary {
    ScenarioSummary {
        name: "s1".into(),
        pipeline: Pipeline::Ours,
        paper: Some(1),
        width: 640,
        height: 360,
        fps: 25.0,
        bitrate_bps: 2_000_000,
        transport: "udp".into(),
        server: None,
        fabric: None,
        wan: None,
        runs: runs(4, 4),
        measured_s: 40.0,
        frames: frames(Some(1_000), 1_000),
        pictures: Some(250),
        clients: BTreeMap::new(),
        latency_us: Some(latency(8_000)),
        uncertainty_us: Some(uncertainty()),
        from_tick_us: Some(FromTickUs {
            count: 1_000,
            p50: 8_060,
            p90: 8_500,
            p99: Some(9_300),
            max: 12_000,
            late_p50: 60,
            late_p99: 240,
            late_max: 3_000,
        }),
        undisturbed: Some(Undisturbed {
            seconds: 39.0,
            frames: frames(Some(1_000), 1_000),
            latency_us: Some(latency(7_900)),
        }),
        floor_us: Some(FloorUs {
            name: "floor".into(),
            count: 300,
            p50: 4_000,
            p90: 4_400,
            p99: Some(5_000),
            gap: Some(GapUs {
                rounds: 3,
                difference: 3_990.0,
                ci: Some([3_900.0, 4_080.0]),
            }),
            undisturbed: None,
            codec_gap: Some(10),
        }),
        stages_us: Some(stages(&Stage::ALL)),
        carried_us: None,
        codec_share: Some(0.6),
        points: Some(Points {
            complete: 998,
            complete_share: 0.998,
            out_of_order: 3,
        }),
        ocr: OcrCounts {
            frames: 1_000,
            unread: 2,
            compared: 998,
            disagree: 0,
        },
        first_frame_us: Some(120_000),
        freezes: Some(Freezes {
            count: 1,
            total_us: 200_000,
            longest_us: 200_000,
            disturbed: 0,
            longer_than_us: 190_000,
            times: Vec::new(),
        }),
        display: Some(DisplayFigures {
            pictures: 1_000,
            frozen: 5,
            late: 4,
            over_xr_bound: 3,
            jitter_us: Some(JitterUs {
                stddev: 210.0,
                p99: 900,
                rfc3550: Some(120.0),
            }),
        }),
        goodput: Some(Goodput {
            frames_per_s: 24.9,
            target_bps: None,
        }),
        disturbed_seconds: Some(1.0),
        faults: Vec::new(),
        clocks: ClockFigures::default(),
        overloaded: false,
        resources: Resources::default(),
        notes: vec![Note::new(NoteKind::Server, "a note of two")],
    }
}

fn clusters() -> ScenarioSummary {
    let each = |p50| Spread {
        p5: p50 - 1.0,
        p50,
        p95: p50 + 1.0,
        ..Spread::default()
    };
    let clusters = |a, b, mean| {
        Some(PerCluster {
            a: each(a),
            b: Some(each(b)),
            mean: each(mean),
        })
    };
    ScenarioSummary {
        name: "s2".into(),
        paper: Some(2),
        runs: runs(3, 4),
        frames: frames(Some(1_000), 990),
        latency_us: Some(latency(8_500)),
        uncertainty_us: Some(UncertaintyUs {
            p50: PartsUs {
                instrument: None,
                combined: 84.2,
                complete: false,
                missing: vec![Part::Instrument],
                ..parts()
            },
            p99: None,
        }),
        undisturbed: None,
        floor_us: None,
        freezes: None,
        display: None,
        fabric: Some(FabricMeta {
            name: "liqo-v1.2".into(),
            backend: "wireguard-go and vxlan".into(),
            tunnel: Some(TunnelBackend::WireguardGo),
            overlay: Some(OverlayBackend::VxlanForGeneve),
            service: "clusterip".into(),
            mtu: Some(1_340),
            wan_crossings: 2,
            too_big: BTreeMap::new(),
        }),
        wan: Some(WanMeta {
            preset: "local".into(),
            backend: WanBackend::Userspace,
            description: "0.15 ms each way".into(),
            late_p50_us: Some(40),
            late_p99_us: Some(200),
        }),
        resources: Resources {
            cpu_percent: clusters(41.0, 7.0, 24.0),
            memory_percent: clusters(5.0, 2.0, 3.5),
            network: [("a".to_owned(), network())].into(),
            fabric_processes: [("wan".to_owned(), process())].into(),
            resources_source: Some("cgroup-v2".into()),
            limits: vec!["cpu".into()],
            nodes: clusters(47.0, 21.0, 34.0)
                .zip(clusters(64.0, 58.0, 61.0))
                .map(|(cpu_percent, memory_percent)| Nodes {
                    each: [("node far of b".to_owned(), node(cpu_percent.mean))].into(),
                    cpu_percent,
                    memory_percent,
                }),
            ..Resources::default()
        },
        notes: vec![
            Note::new(NoteKind::Server, "a note of two"),
            Note::new(NoteKind::ControlGroups, "control groups lack memory"),
        ],
        ..host()
    }
}

fn node(percent: Spread) -> Node {
    Node {
        name: "far".into(),
        cluster: "b".into(),
        cpus: 2.0,
        memory_bytes: 4 << 30,
        cpu_percent: percent,
        memory_percent: percent,
    }
}

fn reference() -> ScenarioSummary {
    ScenarioSummary {
        name: "ffmpeg".into(),
        pipeline: Pipeline::Reference,
        paper: None,
        runs: runs(0, 1),
        frames: frames(None, 0),
        latency_us: None,
        uncertainty_us: None,
        from_tick_us: None,
        undisturbed: None,
        floor_us: None,
        stages_us: None,
        codec_share: None,
        points: None,
        ocr: OcrCounts::default(),
        first_frame_us: None,
        freezes: None,
        display: None,
        goodput: None,
        disturbed_seconds: None,
        overloaded: true,
        notes: vec![Note::new(NoteKind::Overloaded, "run 1: too slow")],
        ..host()
    }
}

const fn runs(whole: u32, planned: u32) -> Runs {
    Runs {
        planned,
        begun: planned,
        completed: whole,
        whole,
    }
}

const fn frames(generated: Option<u64>, shown: u64) -> FrameCounts {
    FrameCounts {
        scheduled: 1_000,
        generated,
        shown,
        lost: 1_000 - shown,
        unreported: 0,
        unread: 0,
        damaged: 2,
        duplicate: 5,
    }
}

const fn latency(p50: i64) -> LatencyUs {
    LatencyUs {
        figures: LatencyFigures {
            count: 1_000,
            min: p50 - 1_000,
            p50,
            p90: p50 + 400,
            p95: p50 + 600,
            p99: Some(p50 + 1_000),
            max: p50 + 9_000,
            mean: p50 as f64,
            stddev: 250.0,
        },
        p99_9: Some(p50 + 2_000),
        p50_ci: Some([p50 - 50, p50 + 60]),
        p99_ci: None,
    }
}

fn uncertainty() -> UncertaintyUs {
    UncertaintyUs {
        p50: parts(),
        p99: Some(PartsUs {
            sampling: None,
            combined: 204.6,
            complete: false,
            missing: vec![Part::Sampling],
            ..parts()
        }),
    }
}

const fn parts() -> PartsUs {
    PartsUs {
        sampling: Some(60.0),
        clocks: Some(50.0),
        instrument: Some(170.0),
        resolution: 1.0,
        combined: 213.6,
        complete: true,
        missing: Vec::new(),
    }
}

fn stages(of: &[Stage]) -> BTreeMap<String, StageUs> {
    let stage = StageUs {
        count: 998,
        p50: 1_000,
        p90: 1_100,
        p99: 1_200,
        mean: 1_010.0,
    };
    let named = of.iter().map(|one| (one.as_str().to_owned(), stage));
    named.collect()
}

fn difference(a: &str, b: &str, us: f64) -> Difference {
    let told = us > 100.0;
    let of = DifferenceUs {
        difference: us,
        ci: Some([us - 30.0, us + 30.0]),
        detectable: Some(52.0),
        p: Some(if told { 0.0004 } else { 0.4 }),
        distinguishable: told,
    };
    Difference {
        a: a.into(),
        b: b.into(),
        pairs: 4,
        differs: vec![Setting::Fabric, Setting::Wan],
        p50_us: of,
        quiet_p50_us: None,
        carried_us: Some(of),
        mean_us: of,
        p99_us: None,
        cliffs_delta: us / 1e3,
    }
}

fn network() -> Network {
    Network {
        rx_bps: 8e6,
        tx_bps: 2e6,
        rx_packets_per_s: 760.0,
        tx_packets_per_s: 190.0,
        dropped: 1,
        udp_rcvbuf_errors: 2,
        tcp_retransmitted: 3,
        ..Network::default()
    }
}

const fn process() -> FabricProcess {
    FabricProcess {
        cpu_percent_p50: 3.0,
        memory_percent_p50: 0.21,
        udp_rcvbuf_errors: 0,
    }
}
