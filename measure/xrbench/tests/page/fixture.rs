//! A result with the paper's five scenarios, made up by this code: nothing in it was measured, and its title says so. It has
//! the shape of what `xrbench run` leaves, with everything that a page must be able to show.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use result::{
    Calibration, FabricMeta, Fit, Machine, OverlayBackend, Pipeline, PlannedRepetition,
    ProcessInfo, RepetitionMeta, ResourcesMeta, RunFolder, RunInfo, RunState, ScenarioInfo,
    TunnelBackend, WanBackend, WanMeta, write_json,
};
use timeline::{
    FrameNumber, Point, RtpTimestamp, UnixMicros,
    frames_csv::{FrameRow, FrameWriter, Outcome, Phase},
};

/// The title of the page.
pub(crate) const TITLE: &str = "MADE-UP FIGURES of a test: five scenarios";

const START: u64 = 1_795_000_000_000_000;
const SECOND: u64 = 1_000_000;
const FPS: u64 = 60;

/// What is to be made up.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Repetitions of each scenario.
    pub(crate) runs: u32,
    /// Measured seconds of each repetition.
    pub(crate) seconds: u64,
}

struct Scenario {
    name: &'static str,
    fabric: &'static str,
    backend: &'static str,
    service: &'static str,
    mtu: u32,
    crossings: u32,
    /// One way over the WAN, microseconds, and its spread.
    wan_us: (f64, f64),
    preset: Option<&'static str>,
    /// What the fabric itself adds to a crossing, microseconds.
    hop_us: f64,
}

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "s1-single",
        fabric: "single",
        backend: "nftables",
        service: "clusterip",
        mtu: 1500,
        crossings: 0,
        wan_us: (0.0, 0.0),
        preset: None,
        hop_us: 20.0,
    },
    Scenario {
        name: "s2-liqo-local",
        fabric: "liqo-v1.2",
        backend: "wireguard-go and vxlan",
        service: "clusterip",
        mtu: 1340,
        crossings: 2,
        wan_us: (150.0, 20.0),
        preset: Some("local"),
        hop_us: 260.0,
    },
    Scenario {
        name: "s3-nodeport-local",
        fabric: "nodeport-cluster",
        backend: "nftables",
        service: "nodeport",
        mtu: 1500,
        crossings: 2,
        wan_us: (150.0, 20.0),
        preset: Some("local"),
        hop_us: 45.0,
    },
    Scenario {
        name: "s4-liqo-remote",
        fabric: "liqo-v1.2",
        backend: "wireguard-go and vxlan",
        service: "clusterip",
        mtu: 1340,
        crossings: 2,
        wan_us: (4_400.0, 260.0),
        preset: Some("frankfurt-geneva"),
        hop_us: 270.0,
    },
    Scenario {
        name: "s5-nodeport-remote",
        fabric: "nodeport-cluster",
        backend: "nftables",
        service: "nodeport",
        mtu: 1500,
        crossings: 2,
        wan_us: (4_400.0, 260.0),
        preset: Some("frankfurt-geneva"),
        hop_us: 240.0,
    },
];

/// Makes the result up in `root`.
pub(crate) fn make(root: &Path, size: Size) -> RunFolder {
    let folder = RunFolder::new(root);
    fs::create_dir_all(root).expect("a folder");
    let mut order: Vec<PlannedRepetition> = (1..=size.runs)
        .flat_map(|run| {
            SCENARIOS.iter().map(move |scenario| PlannedRepetition {
                scenario: scenario.name.into(),
                run,
            })
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(20_240_508);
    for round in order.chunks_mut(SCENARIOS.len()) {
        random.shuffle(round);
    }
    let text = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect();
    let info = RunInfo {
        schema_version: result::RUN_VERSION,
        name: TITLE.into(),
        state: RunState::Finished,
        started_us: UnixMicros(START),
        ended_us: Some(UnixMicros(START + 600 * SECOND)),
        scenario_file: "scenarios/quick.toml".into(),
        scenario: serde_json::json!({"schema": 1, "name": "quick", "seed": 20_240_508_u64}),
        seed: 20_240_508,
        scenarios: SCENARIOS
            .iter()
            .map(|scenario| ScenarioInfo {
                name: scenario.name.into(),
                pipeline: Pipeline::Ours,
                floor: None,
                runs: size.runs,
                paper: scenario.name[1..2].parse().ok(),
                ..ScenarioInfo::default()
            })
            .collect(),
        versions: [
            ("xrbench", "0.1.0"),
            ("GStreamer", "1.22.0"),
            ("ffmpeg", "5.1.6"),
        ]
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .into(),
        machine: Machine {
            host: "nowhere".into(),
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.1.0 (made up)".into(),
            cpu: "a made-up processor".into(),
            cores: 2,
            memory_bytes: 8 << 30,
            clock_ticks_hz: 100,
            clock_source: "tsc".into(),
            governor: String::new(),
            load1: 0.21,
        },
        calibration: Some(Calibration {
            at_us: UnixMicros(START - 3_600 * SECOND),
            wan_backend: "userspace".into(),
            folder: "results/calibration".into(),
            programs: BTreeMap::new(),
            fit: Fit {
                slope: 1.0007,
                slope_error: 0.002,
                own_us: 4_800.0,
                worst_residual_us: 170.0,
                residual_margin_us: 60.0,
                slope_margin: 0.0035,
                steps: Vec::new(),
            },
            holds: Vec::new(),
        }),
        command: text(&[
            "xrbench",
            "run",
            "scenarios/quick.toml",
            "--out",
            "results/quick",
        ]),
        order: order.clone(),
        ..RunInfo::default()
    };
    write_json(&folder.run_json(), &info).expect("run.json");
    for (place, slot) in order.iter().enumerate() {
        let scenario = SCENARIOS
            .iter()
            .find(|scenario| scenario.name == slot.scenario)
            .expect("the order is of these");
        let from = START + place as u64 * (size.seconds + 4) * SECOND;
        repetition(
            &folder,
            scenario,
            slot.run,
            (from, size.seconds),
            &mut random,
        );
    }
    folder
}

fn repetition(
    folder: &RunFolder,
    scenario: &Scenario,
    run: u32,
    (from, seconds): (u64, u64),
    random: &mut fastrand::Rng,
) {
    let at = folder.repetition(scenario.name, run);
    at.create().expect("folders");
    let liqo = scenario.fabric.starts_with("liqo");
    let meta = RepetitionMeta {
        schema_version: result::RUN_VERSION,
        scenario: scenario.name.into(),
        run,
        pipeline: Pipeline::Ours,
        width: 1280,
        height: 720,
        fps: FPS as f64,
        bitrate_bps: 6_000_000,
        transport: "tcp".into(),
        fabric: Some(FabricMeta {
            name: scenario.fabric.into(),
            backend: scenario.backend.into(),
            tunnel: liqo.then_some(TunnelBackend::WireguardGo),
            overlay: liqo.then_some(OverlayBackend::VxlanForGeneve),
            service: scenario.service.into(),
            mtu: Some(scenario.mtu),
            wan_crossings: scenario.crossings,
            too_big: [].into(),
        }),
        wan: scenario.preset.map(|preset| WanMeta {
            preset: preset.into(),
            backend: WanBackend::Userspace,
            description: format!(
                "{:.2} ms and {:.2} ms of jitter each way, 1 Gbit/s",
                scenario.wan_us.0 / 1e3,
                scenario.wan_us.1 / 1e3
            ),
            late_p50_us: Some(38 + random.u64(..9)),
            late_p99_us: Some(210 + random.u64(..90)),
        }),
        resources: Some(ResourcesMeta {
            controllers: vec!["cpu".into(), "memory".into()],
            missing: vec!["the limit of memory: made up".into()],
            limited: vec!["cpu".into()],
            ..ResourcesMeta::default()
        }),
        started_us: UnixMicros(from - 2 * SECOND),
        client_started_us: Some(UnixMicros(from - SECOND)),
        first_frame_us: Some(UnixMicros(from - 700_000 + random.u64(..90_000))),
        measured_from_us: Some(UnixMicros(from)),
        measured_to_us: Some(UnixMicros(from + seconds * SECOND)),
        processes: ["streamer", "renderer", "client"]
            .map(|role| ProcessInfo {
                role: role.into(),
                command: vec![
                    format!("xr-{role}"),
                    "--a-long-argument=for-the-page".into(),
                ],
                started_us: UnixMicros(from - 2 * SECOND),
                ended: Some("exit 0".into()),
            })
            .into(),
        complete: true,
        ..RepetitionMeta::default()
    };
    write_json(&at.meta_json(), &meta).expect("meta.json");
    let disturbed: Vec<bool> = (0..seconds).map(|_| random.u32(..40) == 0).collect();
    let mut host = String::from("from_us,to_us,steal_percent,disturbed\n");
    for (second, disturbed) in (0..).zip(&disturbed) {
        let begins = from + second * SECOND;
        writeln!(host, "{begins},{},0.0,{disturbed}", begins + SECOND).expect("a String takes all");
    }
    fs::write(at.host_csv(), host).expect("host.csv");
    resources(&at.resources_csv(), scenario, (from, seconds), random);
    let outage = outage(&at.events_csv(), scenario, run, from, seconds);
    frames(
        &at.frames_csv(),
        scenario,
        (from, seconds),
        (&disturbed, outage),
        random,
    );
}

/// What each process used in each second.
fn resources(
    path: &Path,
    scenario: &Scenario,
    (from, seconds): (u64, u64),
    random: &mut fastrand::Rng,
) {
    let mut text = String::from(
        "time_us,role,pid,cpu_percent,voluntary_switches,involuntary_switches,cluster,source,elapsed_us,memory_bytes,\
         rx_bytes,rx_packets,tx_bytes,tx_packets,throttled_us\n",
    );
    let far = if scenario.crossings == 0 { "a" } else { "b" };
    for second in 0..=seconds {
        let at_us = from + second * SECOND;
        let (bytes, packets, switches) = (780_000 * second, 760 * second, 2_400 * second);
        for (role, cluster, cpu, memory) in [
            ("renderer", "a", 41.0, 148_u64 << 20),
            ("client", "a", 23.0, 92 << 20),
            ("streamer", far, 9.0, 31 << 20),
        ] {
            let cpu = cpu + bell(random) * 2.0;
            let memory = memory + random.u64(..3 << 20);
            writeln!(
                text,
                "{at_us},{role},7,{cpu:.1},{switches},12,{cluster},cgroup-v2,1000000,{memory},{bytes},{packets},{bytes},\
                 {packets},0"
            )
            .expect("a String takes all");
        }
        let daemons = [
            ("wireguard-a", 6.0, scenario.fabric.starts_with("liqo")),
            ("wireguard-b", 6.5, scenario.fabric.starts_with("liqo")),
            ("wan", 3.0, scenario.preset.is_some()),
        ];
        for (role, cpu, _) in daemons.into_iter().filter(|(_, _, there)| *there) {
            let cpu = cpu + random.f64();
            writeln!(
                text,
                "{at_us},{role},9,{cpu:.1},{switches},3,fabric,cgroup-v2,1000000,9000000,,,,,0"
            )
            .expect("a String takes all");
        }
    }
    fs::write(path, text).expect("resources.csv");
}

/// What happens to the stream, written down: a gateway is killed and comes back; the WAN is out for a while.
fn outage(
    path: &Path,
    scenario: &Scenario,
    run: u32,
    from: u64,
    seconds: u64,
) -> Option<(u64, u64)> {
    let middle = from + seconds * SECOND * 2 / 5;
    let (lines, outage) = match (scenario.name, run) {
        ("s2-liqo-local", 3) => (
            format!(
                "{middle},signalled,gateway-b,SIGKILL\n{},started,gateway-b,pid 4711\n{},reconnected,client,after 812 ms\n",
                middle + 300_000,
                middle + 812_000
            ),
            Some((middle, middle + 812_000)),
        ),
        ("s5-nodeport-remote", 2) => (
            format!(
                "{middle},outage,wan,200 ms in both directions\n{},outage over,wan,\n",
                middle + 200_000
            ),
            Some((middle, middle + 205_000)),
        ),
        _ => (String::new(), None),
    };
    let text = format!(
        "time_us,event,who,detail\n{},started,client,pid 12\n{lines}",
        from - SECOND
    );
    fs::write(path, text).expect("events.csv");
    outage
}

/// A bell of mean 0 and standard deviation 1, near enough.
fn bell(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up times are positive and small"
)]
fn frames(
    path: &Path,
    scenario: &Scenario,
    (from, seconds): (u64, u64),
    (disturbed, outage): (&[bool], Option<(u64, u64)>),
    random: &mut fastrand::Rng,
) {
    let mut writer = FrameWriter::begin(File::create(path).expect("created")).expect("header");
    let mut drift = 0.0;
    for number in 0..seconds * FPS {
        let generated = from + number * SECOND / FPS;
        let out = outage.is_some_and(|(begins, ends)| begins <= generated && generated < ends);
        let unlucky = scenario.preset.is_some() && random.u32(..1_500) == 0;
        if out || unlucky {
            continue;
        }
        let mut row = FrameRow::new(
            RtpTimestamp::from_generated(UnixMicros(generated)),
            Outcome::Shown,
        );
        row.frame = Some(FrameNumber(number as u32));
        row.phase = Some(Phase::Measured);
        row.set(Point::Generated, UnixMicros(generated));
        drift = drift * 0.95 + bell(random) * 30.0;
        let second = ((generated - from) / SECOND) as usize;
        let slow = if disturbed[second] {
            random.f64() * 9_000.0
        } else {
            0.0
        };
        let rare = if random.u32(..400) == 0 {
            random.f64() * 6_000.0
        } else {
            0.0
        };
        let keyframe = if number % 60 == 0 { 900.0 } else { 0.0 };
        let crossing = |random: &mut fastrand::Rng| {
            (scenario.wan_us.0 + scenario.hop_us + bell(random) * scenario.wan_us.1).max(20.0)
        };
        let took = [
            3_900.0 + drift + bell(random).abs() * 350.0 + keyframe + slow,
            190.0 + crossing(random) + random.f64() * 60.0,
            55.0 + random.f64() * 20.0,
            300.0 + crossing(random) + rare + random.f64() * 80.0,
            980.0 + bell(random).abs() * 120.0,
        ];
        let mut time = generated;
        for (point, took) in Point::ALL.into_iter().skip(1).zip(took) {
            time += took.max(1.0) as u64;
            row.set(point, UnixMicros(time));
        }
        writer.write(&row).expect("written");
    }
    writer.flush().expect("flushed");
}
