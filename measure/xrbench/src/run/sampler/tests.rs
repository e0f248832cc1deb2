//! Tests of: the sampler.

use testbed::Cluster;
use testbed::cgroup::{Part, Tree};
use testbed::resources::Source;

use super::*;
use result::rows;

#[test]
fn an_instant_finds_its_second() {
    let us = UnixMicros;
    let seconds = Seconds {
        spans: vec![
            (us(10), us(20), false),
            (us(20), us(30), true),
            (us(40), us(50), false),
        ],
        ..Seconds::default()
    };
    let found: Vec<_> = [5, 10, 19, 20, 29, 35, 45, 50]
        .map(|at| seconds.disturbed(us(at)))
        .into();
    let expected = [
        None,
        Some(false),
        Some(false),
        Some(true),
        Some(true),
        None,
        Some(false),
        None,
    ];
    assert_eq!(found, expected);
}

/// A latency of more than a second is as disturbed as any second of it.
#[test]
fn a_frame_is_disturbed_that_crossed_a_disturbed_second() {
    let us = UnixMicros;
    let seconds = Seconds {
        spans: vec![
            (us(10), us(20), false),
            (us(20), us(30), true),
            (us(30), us(40), false),
        ],
        ..Seconds::default()
    };
    let found = [(12, 35), (12, 20), (25, 35), (12, 15), (31, 39), (41, 45)]
        .map(|(from, to)| seconds.disturbed_between(us(from), us(to)));
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(found, [yes, yes, yes, no, no, None]);
}

/// Two seconds on, one and a half back, and on: what came in the second of the step is of a disturbed one, whenever it says it was.
#[test]
fn a_clock_that_was_set_back_leaves_no_quiet_second_where_it_was() {
    let us = UnixMicros;
    let seconds = Seconds {
        spans: vec![
            (us(100), us(200), false),
            (us(200), us(150), true),
            (us(150), us(250), false),
            (us(250), us(350), false),
        ],
        ..Seconds::default()
    };
    let found = [120, 160, 240, 300].map(|at| seconds.disturbed(us(at)));
    assert_eq!(found, [Some(false), Some(true), Some(false), Some(false)]);
}

#[test]
fn a_slew_is_seen_against_the_clock_that_nobody_slews() {
    let second = Duration::from_secs(1);
    let slewed = slew_ppm(second + Duration::from_millis(83), second);
    assert!((slewed - 83_000.0).abs() < 1.0, "{slewed}");
    assert!(
        slew_ppm(Duration::from_millis(9), Duration::from_millis(8)).abs() < 1e-9,
        "too short"
    );
    let (before, raw) = at_once();
    std::thread::sleep(Duration::from_millis(600));
    let (after, later) = at_once();
    let ours = slew_ppm(after - before, later.saturating_sub(raw));
    assert!(ours.abs() < result::MAX_SLEW_PPM, "{ours} ppm");
}

#[test]
fn a_repetition_is_sampled_to_its_last_moment() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = RepetitionFolder::new(dir.path());
    let events = Events::create(&folder.events_csv()).expect("created");
    let sampler =
        Sampler::start(&folder, Disturbed::default(), events, Arc::default()).expect("started");
    let mut child = std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .expect("started");
    sampler.watch("client", Some(child.id()), None);
    let watched = clock::now();
    let seconds = sampler.finish().expect("finished");
    child.kill().and_then(|()| child.wait()).expect("ended");
    // Starting a process took longer than the clock's microsecond, and so does joining the sampler's thread.
    assert!(
        seconds
            .disturbed(UnixMicros(watched.0.saturating_sub(1)))
            .is_some(),
        "{watched} {seconds:?}"
    );
    let text = std::fs::read_to_string(folder.resources_csv()).expect("written");
    assert!(
        text.contains(",client,") && text.contains(",xrbench,"),
        "{text}"
    );
    let read = rows::read::<ResourceRow>(&folder.resources_csv()).expect("readable");
    for row in read.expect("written").rows {
        // Of the host's UDP, and not of its links, which are no pod's.
        let counted = [
            row.udp_in_errors,
            row.udp_rcvbuf_errors,
            row.udp_sndbuf_errors,
            row.udp_csum_errors,
        ];
        assert!(counted.iter().all(Option::is_some), "{row:?}");
        assert_eq!((row.rx_bytes, row.tx_bytes), (None, None), "{row:?}");
    }
    // A row, or one for each second that the machine took for this.
    let host = std::fs::read_to_string(folder.host_csv()).expect("written");
    assert!(host.lines().count() >= 2, "{host}");
}

/// A process ends, and its group is gone before the sampler comes to it.
#[test]
fn the_last_line_is_of_the_last_second_whatever_became_of_the_group() {
    let name = testbed::cgroup::name(std::process::id()) + "-ended";
    let tree = Tree::create(&name, None);
    let group = tree.group(Part::Cluster(Cluster::A), "renderer");
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", "while :; do :; done"])
        .spawn()
        .expect("started");
    let pid = child.id();
    group.add(pid).expect("put in");
    let of = Watched::new("renderer", pid, Some(&group));
    let used = || testbed::resources::sample(pid).expect("it runs");
    let until = Instant::now() + Duration::from_secs(20);
    let work = |us| {
        while used().cpu_us() < us {
            assert!(Instant::now() < until, "it gets no processor");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    work(800_000);
    let mut processes = Processes::default();
    let begun = Instant::now();
    processes
        .running(&of, clock::now(), SECOND)
        .expect("it runs");
    work(used().cpu_us() + 100_000);
    let last = used();
    child.kill().and_then(|()| child.wait()).expect("ended");
    drop((group, tree));
    let line = processes.ended(&of, &last, clock::now(), begun.elapsed());
    let percent = line.row.cpu_percent;
    // One thread, counted in ticks of 10 ms.
    assert!(percent <= 150.0, "{percent} %");
}

/// Two clusters in small: one works, the other waits; and what a reader of the result sees of it.
#[test]
fn clusters_are_counted_from_the_place_that_is_said() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = RepetitionFolder::new(dir.path());
    let name = testbed::cgroup::name(std::process::id()) + "-sampler";
    let tree = Tree::create(&name, None);
    let [a, b] = [Cluster::A, Cluster::B].map(Part::Cluster);
    let groups = [
        tree.group(a, "renderer"),
        tree.group(b, "streamer"),
        tree.group(Part::Fabric, "wan"),
    ];
    let mut children =
        ["while :; do :; done", "exec sleep 1000", "exec sleep 1000"].map(|script| {
            std::process::Command::new("/bin/sh")
                .args(["-c", script])
                .spawn()
                .expect("started")
        });
    let events = Events::create(&folder.events_csv()).expect("created");
    let sampler =
        Sampler::start(&folder, Disturbed::default(), events, Arc::default()).expect("started");
    for ((role, child), group) in ["renderer", "streamer", "wan"]
        .iter()
        .zip(&children)
        .zip(&groups)
    {
        group.add(child.id()).expect("put in");
        sampler.watch(role, Some(child.id()), Some(group));
    }
    let expected = groups[0].source_of(children[0].id());
    assert_eq!(expected == Source::Proc, tree.version().is_none());
    let seconds = || sampler.shared.seconds.lock().spans.len();
    let until = Instant::now() + Duration::from_secs(20);
    while seconds() < 3 {
        assert!(Instant::now() < until, "the sampler stands still");
        std::thread::sleep(Duration::from_millis(20));
    }
    sampler.finish().expect("finished");
    for child in &mut children {
        child.kill().and_then(|()| child.wait()).expect("ended");
    }
    let read = rows::read::<ResourceRow>(&folder.resources_csv()).expect("readable");
    let rows = read.expect("written").rows;
    let of = |role: &str| {
        let of_role = rows.iter().filter(|row| row.role == role);
        // The first row of a process goes back to its start.
        let rows: Vec<_> = of_role.skip(1).cloned().collect();
        assert!(rows.len() >= 2, "{role}: {rows:?}");
        rows
    };
    let complete = tree.missing().is_empty();
    let mut long = 0;
    for (role, cluster) in [("renderer", "a"), ("streamer", "b"), ("wan", "fabric")] {
        for row in of(role) {
            assert_eq!(row.cluster, cluster);
            if complete || expected == Source::Proc {
                assert_eq!(row.source, expected.as_str());
            }
            // One thread is one core, and gets what the machine has left.
            let percent = if role == "renderer" {
                4.0..=106.0
            } else {
                0.0..=2.0
            };
            // What is left of the last second may be shorter than the kernel's own count of time is fine.
            let is_long = row.elapsed_us.is_some_and(|us| us >= 500_000);
            assert!(!is_long || percent.contains(&row.cpu_percent), "{row:?}");
            long += usize::from(is_long);
            let counted = (row.rx_bytes, row.udp_rcvbuf_errors);
            assert_eq!(counted, (None, None), "it has no namespace of its own");
        }
    }
    assert!(long >= 3, "a whole second of each: {rows:?}");
    let waiting = of("streamer");
    assert!(
        waiting
            .iter()
            .all(|row| row.memory_bytes.is_some_and(|bytes| bytes < 40 << 20)),
        "{waiting:?}"
    );
}
