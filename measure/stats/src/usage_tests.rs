//! Tests of: what the clusters used.

#![expect(
    clippy::float_cmp,
    reason = "the figures are chosen so that they come out exactly"
)]

use super::*;

const S: u64 = 1_000_000;

/// What a process used up to the end of a second: its processor time in percent of a core, its memory in MiB, what its link
/// received in bytes, its full receive buffers, its throttling in microseconds.
fn line(second: u64, role: &str, pid: u32, cluster: &str, figures: [u64; 5]) -> ProcessSecond {
    let [cpu, mib, rx, full, throttled] = figures;
    let has_link = cluster != "fabric";
    let of_link = |value: u64| has_link.then_some(value);
    ProcessSecond {
        to_us: second * S,
        elapsed_us: S,
        role: role.into(),
        pid,
        cluster: cluster.into(),
        source: "cgroup-v1".into(),
        cpu_percent: cpu as f64,
        memory_bytes: mib << 20,
        counters: Counters {
            rx_bytes: of_link(rx),
            rx_packets: of_link(rx / 1000),
            rx_dropped: of_link(1),
            tx_bytes: of_link(rx * 2),
            tx_packets: of_link(rx / 500),
            tx_dropped: of_link(0),
            // The namespace of a process of the fabric has no pod's link, and counts datagrams all the same.
            udp_in_errors: Some(full),
            udp_rcvbuf_errors: Some(full),
            udp_sndbuf_errors: Some(0),
            udp_csum_errors: Some(0),
            tcp_retransmitted: Some(if has_link { 2 } else { 0 }),
            throttled_us: Some(throttled),
            switches: Some(second * 101),
        },
    }
}

fn usage(rows: &[ProcessSecond], from: u64, to: u64) -> Usage {
    let window = Window {
        from_us: from * S,
        to_us: to * S,
    };
    Usage::of(rows, window)
}

#[test]
fn figures_are_of_the_papers_cluster_and_the_mean_is_of_each_second() {
    let mut rows = Vec::new();
    for second in 1..=4 {
        rows.push(line(
            second,
            "client",
            10,
            "a",
            [40, 1024, 1_000_000 * second, second / 4, 0],
        ));
        rows.push(line(
            second,
            "renderer",
            11,
            "a",
            [60 * second, 512, 0, 0, 0],
        ));
        rows.push(line(
            second,
            "streamer",
            12,
            "b",
            [20, 205, 125_000 * second, 0, 5_000 * second],
        ));
        rows.push(line(
            second,
            "wireguard-a",
            13,
            "fabric",
            [30, 41, 0, 7 * second, 0],
        ));
    }
    let usage = usage(&rows, 1, 4);
    assert_eq!(
        usage.seconds.len(),
        3,
        "the first second ends where measuring begins"
    );
    let cpu: Vec<f64> = usage
        .seconds
        .iter()
        .map(|second| second.a.cpu_percent)
        .collect();
    assert_eq!(
        cpu,
        [80.0, 110.0, 140.0],
        "(40 + 60 x second) % of a core, of two"
    );
    let last = &usage.seconds[2];
    assert_eq!(last.to_us, 4 * S);
    assert_eq!(last.b.expect("two clusters").cpu_percent, 10.0);
    assert_eq!(last.mean(|of| of.cpu_percent), 75.0);
    assert_eq!(last.a.memory_percent, 37.5, "1.5 of 4 GiB");
    assert_eq!(last.a.switches_per_s, 202.0, "101 of each of two processes");
    let process = last.fabric["wireguard-a"];
    assert_eq!((process.cpu_percent, process.udp_rcvbuf_errors), (15.0, 7));
    assert!((process.memory_percent - 1.0).abs() < 0.01, "{process:?}");
    let network = last.a.network.expect("pods have links");
    assert_eq!(network.rx_bps, 8e6);
    assert_eq!(network.tx_bps, 16e6);
    assert_eq!(
        (network.rx_packets_per_s, network.tx_packets_per_s),
        (1e3, 2e3)
    );
    assert_eq!(
        (
            network.udp_rcvbuf_errors,
            network.dropped,
            network.tcp_retransmitted
        ),
        (1, 0, 0)
    );
    assert_eq!(last.b.expect("two clusters").throttled_us, 5_000);
    assert_eq!(
        usage.sources.iter().map(String::as_str).collect::<Vec<_>>(),
        ["cgroup-v1"]
    );
}

#[test]
fn one_cluster_is_its_own_mean() {
    let rows: Vec<_> = (1..=3)
        .map(|second| line(second, "client", 10, "a", [50, 40, 0, 0, 0]))
        .collect();
    let usage = usage(&rows, 0, 9);
    assert_eq!(usage.seconds.len(), 3);
    assert!(usage.seconds.iter().all(|second| second.b.is_none()));
    assert_eq!(usage.seconds[0].mean(|of| of.cpu_percent), 25.0);
}

#[test]
fn a_restart_is_neither_counted_twice_nor_as_a_jump() {
    let mut rows = vec![
        line(1, "streamer", 12, "b", [20, 100, 9_000, 7, 3_000]),
        line(1, "client", 10, "a", [20, 100, 9_000, 0, 0]),
        // The last line of the old process, and the first of the new one in the same group and a new namespace.
        line(2, "streamer", 12, "b", [5, 90, 9_500, 7, 3_500]),
        line(2, "streamer", 99, "b", [10, 100, 2_000, 1, 3_500]),
        line(2, "client", 10, "a", [20, 100, 9_000, 0, 0]),
    ];
    let usage = usage(&rows, 1, 3);
    let b = usage.seconds[0].b.expect("two clusters");
    assert_eq!(b.cpu_percent, 7.5);
    assert!(
        (b.memory_percent - 100.0 / 40.96).abs() < 0.01,
        "{}",
        b.memory_percent
    );
    assert_eq!(b.network.expect("a link").udp_rcvbuf_errors, 1);
    assert_eq!(b.network.expect("a link").rx_bps, 2_500.0 * 8.0);
    assert_eq!(b.throttled_us, 500);
    // Gone for a while: the cluster is still there, and uses nothing.
    rows.push(line(3, "client", 10, "a", [20, 100, 9_000, 0, 0]));
    let usage = self::usage(&rows, 2, 3);
    assert_eq!(
        usage.seconds[0].b.expect("two clusters"),
        ClusterSecond::default()
    );
}

#[test]
fn fewer_switches_mean_that_a_thread_ended() {
    let switches = |rows: [ProcessSecond; 2]| usage(&rows, 1, 3).seconds[0].a.switches_per_s;
    let first = line(1, "client", 10, "a", [0; 5]);
    let second = line(2, "client", 10, "a", [0; 5]);
    assert_eq!(switches([first.clone(), second.clone()]), 101.0);
    let mut fewer = second;
    fewer.counters.switches = Some(22);
    assert_eq!(switches([first, fewer]), 0.0);
}

/// A reading that came 300 ms late makes 1.3 seconds and then 0.7, and the window begins and ends within seconds.
#[test]
fn seconds_weigh_what_lies_in_the_window() {
    let at = |to_ms: u64, elapsed_ms: u64, cpu| {
        let mut line = line(0, "client", 10, "a", [cpu, 40, 0, 0, to_ms]);
        (line.to_us, line.elapsed_us) = (to_ms * 1_000, elapsed_ms * 1_000);
        line.counters.rx_dropped = Some(to_ms / 100);
        line
    };
    let rows = [
        at(1_000, 1_000, 50),
        at(2_000, 1_000, 60),
        at(3_300, 1_300, 70),
        at(4_000, 700, 80),
        at(5_000, 1_000, 90),
        at(5_040, 40, 2),
    ];
    let window = Window {
        from_us: 1_400_000,
        to_us: 4_250_000,
    };
    let usage = Usage::of(&rows, window);
    let weights: Vec<_> = usage
        .seconds
        .iter()
        .map(|second| (second.a.cpu_percent, second.measured_s))
        .collect();
    assert_eq!(
        weights,
        [(30.0, 0.6), (35.0, 1.3), (40.0, 0.7), (45.0, 0.25)]
    );
    let throttled: u64 = usage.seconds.iter().map(|of| of.a.throttled_us).sum();
    assert_eq!(throttled, 600 + 1_300 + 700 + 250);
    let dropped = |second: &UsageSecond| second.a.network.expect("a link").dropped;
    let dropped: Vec<_> = usage.seconds.iter().map(dropped).collect();
    assert_eq!(dropped, [6, 13, 7, 3]);
    assert_eq!(self::usage(&[], 0, 9), Usage::default());
}
