//! Tests of: what the clusters used.

#![expect(
    clippy::float_cmp,
    reason = "the figures are chosen so that they come out exactly"
)]

use super::*;

const S: u64 = 1_000_000;
const HEAD: &str = "time_us,role,pid,cpu_percent,voluntary_switches,involuntary_switches,cluster,source,elapsed_us,memory_bytes,\
    rx_bytes,rx_packets,rx_dropped,tx_bytes,tx_packets,tx_dropped,udp_in_errors,udp_rcvbuf_errors,udp_sndbuf_errors,\
    udp_csum_errors,tcp_retransmitted,throttled_us\n";

/// A line of a process at the end of a second: its processor time in percent of a core, its memory in MiB, what its link
/// received in bytes, its full receive buffers, its throttling in microseconds.
fn line(second: u64, role: &str, pid: u32, cluster: &str, figures: [u64; 5]) -> String {
    let [cpu, mib, rx, full, throttled] = figures;
    let network = if cluster == "fabric" {
        // Its namespace has no pod's link, and counts datagrams all the same.
        format!(",,,,,,{full},{full},0,0,0")
    } else {
        format!(
            "{rx},{},1,{},{},0,{full},{full},0,0,2",
            rx / 1000,
            rx * 2,
            rx / 500
        )
    };
    format!(
        "{},{role},{pid},{cpu}.00,{},{second},{cluster},cgroup-v1,1000000,{},{network},{throttled}\n",
        second * S,
        second * 100,
        mib << 20
    )
}

fn usage(text: &str, from: u64, to: u64) -> Usage {
    let window = Window {
        from_us: from * S,
        to_us: to * S,
    };
    Usage::parse(text, window)
}

#[test]
fn figures_are_of_the_papers_cluster_and_the_mean_is_of_each_second() {
    let mut text = HEAD.to_owned();
    for second in 1..=4 {
        text += &line(
            second,
            "client",
            10,
            "a",
            [40, 1024, 1_000_000 * second, second / 4, 0],
        );
        text += &line(second, "renderer", 11, "a", [60 * second, 512, 0, 0, 0]);
        text += &line(
            second,
            "streamer",
            12,
            "b",
            [20, 205, 125_000 * second, 0, 5_000 * second],
        );
        text += &line(
            second,
            "wireguard-a",
            13,
            "fabric",
            [30, 41, 0, 7 * second, 0],
        );
        text += &line(second, "xrbench", 14, "", [9, 5, 0, 0, 0]);
    }
    let usage = usage(&text, 1, 4);
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
    let text = (1..=3).fold(HEAD.to_owned(), |text, second| {
        text + &line(second, "client", 10, "a", [50, 40, 0, 0, 0])
    });
    let usage = usage(&text, 0, 9);
    assert_eq!(usage.seconds.len(), 3);
    assert!(usage.seconds.iter().all(|second| second.b.is_none()));
    assert_eq!(usage.seconds[0].mean(|of| of.cpu_percent), 25.0);
}

#[test]
fn a_restart_is_neither_counted_twice_nor_as_a_jump() {
    let mut text = HEAD.to_owned();
    text += &line(1, "streamer", 12, "b", [20, 100, 9_000, 7, 3_000]);
    text += &line(1, "client", 10, "a", [20, 100, 9_000, 0, 0]);
    // The last line of the old process, and the first of the new one in the same group and a new namespace.
    text += &line(2, "streamer", 12, "b", [5, 90, 9_500, 7, 3_500]);
    text += &line(2, "streamer", 99, "b", [10, 100, 2_000, 1, 3_500]);
    text += &line(2, "client", 10, "a", [20, 100, 9_000, 0, 0]);
    let usage = usage(&text, 1, 3);
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
    text += &line(3, "client", 10, "a", [20, 100, 9_000, 0, 0]);
    let usage = self::usage(&text, 2, 3);
    assert_eq!(
        usage.seconds[0].b.expect("two clusters"),
        ClusterSecond::default()
    );
}

#[test]
fn fewer_switches_mean_that_a_thread_ended() {
    let switches = |text: &str| usage(text, 1, 3).seconds[0].a.switches_per_s;
    let first = line(1, "client", 10, "a", [0; 5]);
    let second = line(2, "client", 10, "a", [0; 5]);
    assert_eq!(switches(&format!("{HEAD}{first}{second}")), 101.0);
    let fewer = second.replace(",200,2,a", ",20,2,a");
    assert_eq!(switches(&format!("{HEAD}{first}{fewer}")), 0.0);
}

#[test]
fn what_is_not_whole_is_left_out() {
    let good = line(1, "client", 10, "a", [50, 40, 0, 0, 0]);
    let cut = line(2, "client", 10, "a", [50, 40, 0, 0, 0]);
    let text = format!("{HEAD}{good}{}", &cut[..cut.len() - 4]);
    assert_eq!(usage(&text, 0, 9).seconds.len(), 1);
    let short = good.replace(",1000000,41943040", ",40000,41943040");
    assert_ne!(short, good);
    assert!(usage(&format!("{HEAD}{short}"), 0, 9).seconds.is_empty());
    // A result of a version that knew no clusters, and no file at all.
    let old = "time_us,role,pid,cpu_percent\n1000000,client,3,5.0\n";
    for text in ["", "\n", "garbage", old, HEAD] {
        assert_eq!(usage(text, 0, 9), Usage::default(), "{text:?}");
    }
    let nowhere = Path::new("/nowhere/resources.csv");
    let window = Window {
        from_us: 0,
        to_us: 1,
    };
    assert_eq!(
        Usage::read(nowhere, window).expect("nothing"),
        Usage::default()
    );
}
