//! Services that fail, and a client that moves, between namespaces of this kernel; as root.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lisp::bench::cast::{B, C, ControlPlan, SERVICE};
use lisp::bench::fleet::Fleet;
use lisp::bench::mobility::{self, Move};
use lisp::bench::recovery::{self, Fault, Settings, Way};
use lisp::bench::seen::Seen;
use lisp::told::Told;
use lisp::wire::{MapRequest, RequestFlags};
use service::Shutdown;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(40);

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_xr-lisp"))
}

/// The parts of an outage sum to what the client saw, and requests were lost in it.
fn is_whole(seen: &Seen) {
    let parts = seen.parts;
    let (last, first) = (seen.moments.last_ns, seen.moments.first_ns);
    let whole_ms = (first - last) as f64 / 1e6;
    assert!((parts.total_ms() - whole_ms).abs() < 1e-6, "{parts:?}");
    for part in [parts.detection_ms, parts.mapping_ms, parts.connection_ms] {
        assert!(part >= 0.0, "{parts:?}");
    }
    let between = seen
        .answers
        .iter()
        .filter(|answer| answer.answered_ns > last && answer.answered_ns < first);
    assert_eq!(between.count(), 0);
}

/// One fault in each way that sees it; a played kubelet has no patience here.
fn goes_on(way: Way) {
    let settings = Settings {
        readiness_period_s: 1,
        readiness_failures: 1,
        ..Settings::default()
    };
    for fault in Fault::ALL.into_iter().filter(|fault| way.sees(*fault)) {
        let folder = tempfile::tempdir().unwrap();
        let cell = (way, fault);
        let seen = recovery::once(
            program(),
            folder.path(),
            cell,
            settings,
            0.5,
            &Shutdown::new(),
        );
        let seen = seen.unwrap_or_else(|error| panic!("{way:?} {fault:?}: {error:#}"));
        is_whole(&seen);
        let of = |name: &str| {
            let all = seen.answers.iter().filter(|answer| answer.by == name);
            all.map(|answer| answer.answered_ns).collect::<Vec<_>>()
        };
        let (before, after) = (of(B.place), of(C.place));
        assert!(before.len() > 100 && after.len() > 5, "{way:?} {fault:?}");
        assert!(
            before.iter().max() < after.iter().min(),
            "the other cluster answers from then on, and it alone"
        );
        assert!(
            seen.moments.lost > 0,
            "{way:?} {fault:?}: {:?}",
            seen.moments
        );
        let registered = |name: &str| {
            let mut events = seen.events.iter();
            events.any(|(by, told)| *by == name && matches!(told, Told::Registered { .. }))
        };
        let has_agents = way != Way::Probing;
        assert_eq!(registered(B.names.agent), has_agents);
        assert_eq!(registered(C.names.agent), has_agents);
    }
}

#[test]
fn a_service_goes_on_by_a_publication() {
    goes_on(Way::Publication);
}

#[test]
fn a_service_goes_on_by_a_solicitation() {
    goes_on(Way::Smr);
}

#[test]
fn a_service_goes_on_by_a_name() {
    goes_on(Way::Dns);
}

#[test]
fn a_service_goes_on_as_kubernetes_notices() {
    goes_on(Way::Paper);
    goes_on(Way::PaperDns);
}

#[test]
fn a_service_goes_on_by_probes_of_tunnel_routers() {
    goes_on(Way::Probing);
}

#[test]
fn a_client_goes_on_at_another_address() {
    for way in mobility::Way::ALL {
        let folder = tempfile::tempdir().unwrap();
        let cell = (Move::OtherAddress, way);
        let seen = mobility::once(program(), folder.path(), cell, 0.5, &Shutdown::new());
        let seen = seen.unwrap_or_else(|error| panic!("{way:?}: {error:#}"));
        eprintln!("{way:?}: {:?}", seen.parts);
        is_whole(&seen);
        assert!(seen.answers.iter().all(|answer| answer.by == B.place));
        let moved = seen.events.iter().filter(|(by, told)| {
            *by == "xtr-a" && matches!(told, Told::Moved { locators, .. } if locators.len() == 1)
        });
        assert_eq!(moved.count(), 1);
    }
}

#[test]
fn a_client_goes_on_at_another_tunnel_router() {
    let folder = tempfile::tempdir().unwrap();
    let cell = (Move::OtherRouter, mobility::Way::Publication);
    let seen = mobility::once(program(), folder.path(), cell, 0.5, &Shutdown::new());
    let seen = seen.unwrap_or_else(|error| panic!("{error:#}"));
    eprintln!("{:?}", seen.parts);
    is_whole(&seen);
    let attached = |name: &str| {
        let of_it = seen.events.iter().filter(|(by, _)| *by == name);
        let told = of_it.filter_map(|(_, told)| match told {
            Told::Attached { is_attached, .. } => Some(*is_attached),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        attached("xtr-a"),
        [true, false],
        "it has nobody any more, and has withdrawn"
    );
    assert_eq!(attached("xtr-d"), [true], "never before the client came");
}

/// What curl is told for the metrics of a tunnel router.
const METRICS: [&str; 2] = ["-s", "http://127.0.0.1:9096/metrics"];

/// A counter of a tunnel router's control plane.
fn counter(fleet: &Fleet, place: &str, what: &str) -> f64 {
    let text = fleet.network.call(place, "curl", &METRICS).unwrap();
    let label = format!("xr_lisp_xtr_control_total{{what=\"{what}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&label));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Sends a Map-Request to a control port, from where the control plane is.
fn send(fleet: &Fleet, to: &str, request: &MapRequest) {
    // In one write: the shell's own would be a datagram for each line.
    let file = fleet.file("message").unwrap();
    std::fs::write(&file, request.encode()).unwrap();
    let script = format!("cat {file} >/dev/udp/{to}/4342");
    fleet
        .network
        .call("control", "bash", &["-c", &script])
        .unwrap();
}

fn running(folder: &Path) -> Fleet {
    let mut fleet = Fleet::new(program(), folder, Shutdown::new()).unwrap();
    fleet.start_control(ControlPlan::default()).unwrap();
    fleet.start_service(B).unwrap();
    fleet.start_xtr(B, false, false).unwrap();
    let client = ["--locator", "10.0.0.1", "--site", "3"];
    fleet.start_client_xtr(&client).unwrap();
    fleet.start_stream(&[]).unwrap();
    fleet
}

#[test]
fn a_solicitation_to_a_running_tunnel_router_leads_to_one_request() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = running(folder.path());
    let asked = counter(&fleet, "a", "map_request");
    assert!(asked >= 1.0);
    let from = "10.0.0.9".parse().unwrap();
    let smr = |source: &str, nonce| MapRequest {
        flags: RequestFlags::SMR,
        source_eid: Some(source.parse().unwrap()),
        ..MapRequest::new(nonce, "192.168.1.2".parse().unwrap(), vec![from])
    };
    let until = |what: &str, least: f64| {
        let start = Instant::now();
        while counter(&fleet, "a", what) < least {
            let metrics = || fleet.network.call("a", "curl", &METRICS).unwrap();
            assert!(
                start.elapsed() < PATIENCE,
                "{what} stays below {least}:\n{}",
                metrics()
            );
        }
    };
    // What it has no mapping for is nothing to ask about.
    send(&fleet, "10.0.0.1", &smr("10.112.0.99", 1));
    until("unasked", 1.0);
    assert!((counter(&fleet, "a", "map_request") - asked).abs() < 0.5);
    let begun = Instant::now();
    for nonce in 2..=4 {
        send(&fleet, "10.0.0.1", &smr(SERVICE, nonce));
    }
    until("smr_received", 3.0);
    until("map_request", asked + 1.0);
    until("subscribed", 2.0);
    let more = counter(&fleet, "a", "map_request") - asked;
    let most = 1.0 + (begun.elapsed().as_secs_f64() / 3.0).floor();
    assert!(more < most + 0.5, "one in 3 s, not {more}");
}
