//! Tests of: what the clusters used, as percentiles.

#![expect(
    clippy::float_cmp,
    reason = "the figures are chosen so that they come out exactly"
)]

use super::*;
use stats::usage::UsageSecond;

/// A hundred seconds: A uses 1 to 100 %, B always 20 %.
fn usage(clusters: u32) -> Usage {
    let seconds = (1..=100_u32).map(|second| {
        let of = |cpu_percent, bps| ClusterSecond {
            cpu_percent,
            memory_percent: 12.5,
            switches_per_s: 1_000.0,
            network: Some(NetworkSecond {
                rx_bps: bps,
                udp_rcvbuf_errors: 2,
                ..NetworkSecond::default()
            }),
            throttled_us: 10_000,
        };
        UsageSecond {
            to_us: u64::from(second),
            measured_s: 1.0,
            a: of(f64::from(second), 6e6),
            b: (clusters == 2).then(|| ClusterSecond {
                throttled_us: 0,
                ..of(20.0, 7e6)
            }),
            fabric: [(
                "wireguard-a".to_owned(),
                FabricSecond {
                    cpu_percent: f64::from(second) / 10.0,
                    memory_percent: 0.5,
                    udp_rcvbuf_errors: u64::from(second == 7),
                },
            )]
            .into(),
        }
    });
    Usage {
        seconds: seconds.collect(),
        sources: ["cgroup-v1".to_owned()].into(),
        nodes: Vec::new(),
        host: None,
    }
}

#[test]
fn percentiles_are_seconds_that_were_seen() {
    let alike = |values: Vec<f64>| Spread::of(values.into_iter().map(|value| (value, 1.0)));
    let spread = alike((1..=100).rev().map(f64::from).collect()).expect("values");
    let figures = [
        spread.p5, spread.p25, spread.p50, spread.p75, spread.p95, spread.max,
    ];
    assert_eq!(figures, [5.0, 25.0, 50.0, 75.0, 95.0, 100.0]);
    let one = alike(vec![7.1234]).expect("a value");
    assert_eq!((one.p5, one.p50, one.max), (7.123, 7.123, 7.123));
    assert_eq!(alike(vec![3.0, 1.0, 2.0]).expect("values").p50, 2.0);
    assert_eq!(Spread::of([]), None);
    // Half of a second is half as much of what was used.
    let halves = Spread::of([(1.0, 0.5), (2.0, 0.5), (3.0, 1.0), (9.0, 1.0)]).expect("values");
    assert_eq!((halves.p25, halves.p50, halves.p75), (2.0, 3.0, 9.0));
}

#[test]
fn two_clusters_have_a_mean_of_each_second() {
    let meta = ResourcesMeta {
        controllers: vec!["cpu".into(), "cpuacct".into()],
        missing: vec!["memory: its hierarchy is not mounted".into()],
        limited: vec!["cpu".into()],
        ..ResourcesMeta::default()
    };
    let (resources, notes) = resources(&usage(2), Some(&meta), 2);
    let cpu = resources.cpu_percent.expect("two clusters");
    assert_eq!(
        (cpu.a.p50, cpu.b.expect("two").p50, cpu.mean.p50),
        (50.0, 20.0, 35.0)
    );
    assert_eq!(
        (cpu.mean.p5, cpu.mean.p95, cpu.mean.max),
        (12.5, 57.5, 60.0)
    );
    assert_eq!(resources.memory_percent.expect("two").mean.p50, 12.5);
    assert_eq!(
        resources.fabric_processes["wireguard-a"].cpu_percent_p50,
        5.0
    );
    assert_eq!(resources.network["a"].rx_bps, 6e6);
    assert_eq!(resources.network["b"].udp_rcvbuf_errors, 200);
    assert_eq!(resources.resources_source.as_deref(), Some("cgroup-v1"));
    assert_eq!(resources.limits, ["cpu"]);
    assert_eq!(resources.oversubscribed, Some(true));
    assert_eq!(resources.throttled_s, [("a".to_owned(), 1.0)].into());
    let texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
    let notes = texts.join("\n");
    for words in [
        "processes only, in percent of 2 vCPU and 4 GiB",
        "4 vCPU in all",
        "2 cores",
        "cluster a was throttled",
        "cluster b: 200 datagrams",
        "wireguard-a: packets lost to a full receive buffer",
        "lack memory: its hierarchy",
    ] {
        assert!(notes.contains(words), "{words:?} is missing in {notes}");
    }
}

#[test]
fn a_floor_of_other_limits_is_said() {
    let limits = ["cpu".to_owned(), "memory".to_owned()];
    let floor = |limited: &[&str]| ResourcesMeta {
        limited: limited.iter().map(|&one| one.to_owned()).collect(),
        ..ResourcesMeta::default()
    };
    let said = |floor: Option<&ResourcesMeta>| unlike_floor(&limits, floor).map(|note| note.text);
    assert_eq!(said(Some(&floor(&["memory", "cpu"]))), None);
    let words = "the floor was measured without the clusters' limits of";
    assert_eq!(
        said(Some(&floor(&["cpu"]))),
        Some(format!("{words} memory"))
    );
    assert_eq!(said(None), Some(format!("{words} cpu and memory")));
    assert_eq!(unlike_floor(&[], None), None);
}

#[test]
fn a_single_cluster_has_no_other_and_no_clusters_have_nothing() {
    let (single, notes) = resources(&usage(1), None, 2);
    let cpu = single.cpu_percent.expect("one cluster");
    assert_eq!((cpu.b, cpu.mean), (None, cpu.a));
    assert_eq!(single.oversubscribed, Some(false), "2 vCPU on 2 cores");
    assert_eq!(single.oversubscribed_why, None);
    assert!(!single.network.contains_key("b"));
    assert!(
        notes.iter().any(|note| note.text.contains("one cluster")),
        "{notes:?}"
    );
    let (none, notes) = resources(&Usage::default(), None, 1);
    assert_eq!((none, notes), (Resources::default(), Vec::new()));
}

/// On clusters kubelets are asked: whole nodes stand beside the pods, and this machine's cores say nothing.
#[test]
fn whole_nodes_stand_beside_their_pods() {
    let share = |cpu_percent| NodeShare {
        cpu_percent,
        memory_percent: 60.0,
    };
    let second = |a: f64| NodesSecond {
        measured_s: 10.0,
        a: Some(share(a)),
        b: Some(share(20.0)),
        each: [("node n of a".to_owned(), share(a))].into(),
    };
    let usage = Usage {
        nodes: [30.0, 40.0, 50.0].map(second).into(),
        ..usage(2)
    };
    let node = result::NodeMeta {
        name: "n".into(),
        cluster: "a".into(),
        cpu_millis: 2_000,
        memory_bytes: 4 << 30,
    };
    let meta = ResourcesMeta {
        kubelets: true,
        missing: vec!["the use of node m of b: its kubelet tells none".into()],
        nodes: [("node n of a".to_owned(), node)].into(),
        ..ResourcesMeta::default()
    };
    let (resources, notes) = resources(&usage, Some(&meta), 2);
    assert_eq!(resources.oversubscribed, None);
    let nodes = resources.nodes.expect("measured");
    let cpu = nodes.cpu_percent;
    assert_eq!(
        (cpu.a.p50, cpu.b.map(|b| b.p50), cpu.mean.p50),
        (40.0, Some(20.0), 30.0)
    );
    let each = &nodes.each["node n of a"];
    assert_eq!(
        (each.cpus, each.cpu_percent.p50, each.memory_percent.p50),
        (2.0, 40.0, 60.0)
    );
    let text: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
    let text = text.join("\n");
    assert!(text.contains("as those of whole nodes are"), "{text}");
    assert!(text.contains("not known: the use of node m of b"), "{text}");
    assert!(!text.contains("control groups"), "{text}");
}
