//! Any text as what the kernel says of mounts, control groups, processes and networks, and as what a kubelet says of
//! containers: what is read lies where it must, and figures are those that the text has.
#![no_main]

use std::path::{Component, PathBuf};

use cluster::cadvisor::Page;
use libfuzzer_sys::fuzz_target;
use result::machine::{cpu_model, first_load, memory_bytes, os_name};
use service::fuzzing::status_field;
use testbed::fuzzing::{groups, hierarchies, process, traffic, udp_counter};
use xrbench::run::host::{CpuTicks, Second};

/// Fields of proc(5)'s `stat` before the first that is read, behind a name that an attacker may choose.
const BEFORE: &str = "42 (a) b (c)) S 1 42 42 0 -1 4194560 900 0 0 0";

fuzz_target!(|input: ([u64; 3], &str, &str)| {
    let ([user, system, threads], one, other) = input;

    let found = hierarchies(one, other);
    assert!(found.len() <= one.lines().count());
    for hierarchy in found {
        let below = hierarchy.own.strip_prefix(&hierarchy.mount);
        let below = below.unwrap_or_else(|_| panic!("outside of its mount: {hierarchy:?}"));
        assert!(
            below
                .components()
                .all(|part| matches!(part, Component::Normal(_))),
            "{hierarchy:?}"
        );
        assert_eq!(hierarchy.candidates.first(), Some(&hierarchy.own));
        assert_eq!(
            hierarchy.candidates.last().map(PathBuf::as_path),
            Some(hierarchy.mount.as_path())
        );
    }

    let _ = process(one, other);
    // The name may hold what looks like the fields behind it.
    let stat = format!("{BEFORE} {user} {system} 0 0 20 0 {threads} 0 1000");
    let named = stat.replacen("(c)", &one.replace(')', ""), 1);
    for stat in [stat, named] {
        let sample = process(&stat, other).expect("such a text");
        assert_eq!(
            (sample.user_ticks, sample.system_ticks, sample.threads),
            (user, system, threads)
        );
        let _ = sample.cpu_us();
    }

    let _ = traffic(one);
    let dev =
        format!("lo: 1 2 3\n eth0:{user} {threads} 0 {system} 0 0 0 0 {system} 1 2 {user} 0\n");
    let (received, sent) = traffic(&dev).expect("such a text");
    assert_eq!((received.bytes, received.dropped), (user, system));
    assert_eq!((sent.bytes, sent.dropped), (system, user));
    assert_eq!(received.packets, threads);

    let _ = udp_counter(one, other);
    let snmp = format!("Ip: {system}\nUdp: A InErrors\nUdp: {system} {user}\n");
    assert_eq!(udp_counter(&snmp, "InErrors"), Some(user));

    let before = CpuTicks::parse(one);
    let after = CpuTicks::parse(other);
    assert!(before.programs <= before.total && before.steal <= before.total);
    let second = Second::between(before, after, user);
    for percent in [
        second.steal_percent,
        second.programs_percent,
        second.foreign_percent,
    ] {
        assert!((0.0..=100.0).contains(&percent), "{second:?}");
    }
    let ticks = CpuTicks::parse(&format!(
        "cpu  {user} 0 0 {threads} 0 0 0 {system} 9 9\n{one}"
    ));
    assert_eq!((ticks.programs, ticks.steal), (user, system));

    let _ = status_field(one, other);
    let status = format!(
        "Name:\t{}\nVmRSS:\t {threads} kB\n",
        one.replace(['\n', '\r'], "")
    );
    assert_eq!(status_field(&status, "VmRSS"), Some(threads as f64));

    assert!(first_load(one).is_none_or(f64::is_finite));
    let meminfo = format!("MemFree: 1 kB\nMemTotal:  {threads} kB\n{one}");
    assert_eq!(memory_bytes(&meminfo), threads.saturating_mul(1024));
    for name in [os_name(one), cpu_model(one)] {
        assert!(one.contains(name) && !name.contains('\n'));
    }

    let _ = Page::parse(one);
    // Whatever other labels hold, escaped as the format has it.
    let label = other
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace(['\n', '\r'], "");
    let page = format!(
        "container_memory_working_set_bytes{{name=\"{label}\",id=\"/pods/pod1/feed{threads}\"}} {user} {system}"
    );
    let page = Page::parse(&page);
    let reading = page.container(&format!("feed{threads}"));
    let reading = reading.expect("such a container");
    assert_eq!(reading.memory_bytes, Some(user as f64));
    assert_eq!(reading.cpu_s, None);

    for group in groups(one, other) {
        if let Some(memory) = group.memory {
            assert_eq!(one.trim().parse(), Ok(memory.current_bytes));
            assert!(memory.working_set_bytes() <= memory.current_bytes);
        }
        if group.throttled.is_some() {
            assert!(other.contains("nr_throttled "));
        }
    }
});
