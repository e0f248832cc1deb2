//! The userspace link as a process, between two network namespaces; and what tc makes of the lines for netem.

mod netns;

use std::io;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::local::capabilities::{Capabilities, Capability};
use testbed::wan::link::{LinkArgs, SUBCOMMAND, serve, set_outage};
use testbed::wan::{Direction, Jitter, Loss, Wan, netem};
use testbed::{Exit, Placement, Process, Spec, Testbed};
use timeline::UnixMicros;

use netns::{ADDRESSES, Netns, bring_up};

/// Far beyond what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Capability carries packets: the link as a process of its own.
const HELPER: &str = env!("CARGO_BIN_EXE_testbed-helper");

/// Set in a process that has a user namespace of its own.
const INSIDE: &str = "XR_TESTBED_WAN_INSIDE";

/// Runs a test that needs to be root: in a user namespace of its own where it is not.
fn as_root(test: &str, body: impl FnOnce()) {
    if nix::unistd::geteuid().is_root() || std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let program = std::env::current_exe().expect("this program");
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--"])
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare of util-linux");
    assert!(status.success(), "{test} as root of a user namespace");
}

/// A running link and what it said.
struct Running {
    namespaces: [Netns; 2],
    process: Process,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Running {
    async fn start(dir: &Path, a_to_b: Direction, b_to_a: Direction) -> Self {
        let namespaces = [Netns::new(), Netns::new()];
        let args = LinkArgs {
            interface: "wan0".into(),
            a: namespaces[0].path(),
            b: namespaces[1].path(),
            mtu: 1400,
            a_to_b,
            b_to_a,
            seed: 1,
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&lines);
        let testbed = Testbed::new(Placement::Host, || UnixMicros(0), |_| {});
        let spec = Spec {
            args: vec![SUBCOMMAND.to_owned(), args.to_arg()],
            on_line: Some(Arc::new(move |line| {
                if let Ok(json) = serde_json::from_str(line) {
                    heard.lock().expect("lines").push(json);
                }
            })),
            ..Spec::new("wan", HELPER, dir.join("wan.log"))
        };
        let process = testbed.start(spec).expect("started");
        let ready = process
            .ready(Duration::from_secs(20))
            .await
            .expect("a ready line");
        assert_eq!(ready.text("program"), Some("wan-link"));
        let scheduling = ready.text("scheduling").expect("its scheduling");
        assert!(
            ["SCHED_FIFO 20", "SCHED_OTHER"].contains(&scheduling),
            "{scheduling}"
        );
        bring_up(&namespaces, "wan0");
        Self {
            namespaces,
            process,
            lines,
        }
    }

    /// Packets that an outage took on their way from A to B, as far as the link has said by now.
    fn dropped_by_outage(&self) -> u64 {
        let lines = self.lines.lock().expect("lines");
        let seconds = lines.iter().filter(|line| line["event"] == "wan");
        seconds
            .filter_map(|line| line["a_to_b"]["outage_dropped"].as_u64())
            .sum()
    }

    /// A socket at either end, connected to one another.
    fn sockets(&self) -> [UdpSocket; 2] {
        let sockets = [0, 1].map(|end| {
            self.namespaces[end]
                .enter(|| UdpSocket::bind((std::net::Ipv4Addr::from(ADDRESSES[end]), 7_000)))
                .expect("a socket")
        });
        for (end, socket) in sockets.iter().enumerate() {
            let far = std::net::Ipv4Addr::from(ADDRESSES[1 - end]);
            socket.connect((far, 7_000)).expect("connected");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        }
        sockets
    }

    /// Ends it and returns its totals.
    async fn end(self) -> Value {
        let exit = self.process.terminate(PATIENCE).await;
        assert_eq!(exit, Exit::Code(0), "{}", self.process.log_tail());
        let lines = self.lines.lock().expect("lines");
        let of = |event| {
            lines
                .iter()
                .filter(move |line: &&Value| line["event"] == event)
        };
        let total = of("wan-total").next().expect("totals").clone();
        for key in ["packets", "lost", "received", "outage_dropped"] {
            let seconds: u64 = of("wan")
                .filter_map(|line| line["a_to_b"][key].as_u64())
                .sum();
            assert_eq!(
                total["a_to_b"][key], seconds,
                "{key}: the seconds sum to it"
            );
        }
        total
    }
}

/// Waits for a packet. The kernel interrupts a wait that has a timeout now and then, and std does not wait again.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.recv(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Sends a packet and waits for its echo.
fn echo([near, far]: &[UdpSocket; 2], number: u8) -> io::Result<Duration> {
    let began = Instant::now();
    near.send(&[number; 100])?;
    let mut buffer = [0; 200];
    let length = receive(far, &mut buffer)?;
    far.send(&buffer[..length])?;
    let length = receive(near, &mut buffer)?;
    assert_eq!(&buffer[..length], [number; 100]);
    Ok(began.elapsed())
}

fn delayed(millis: u64) -> Direction {
    Direction {
        delay: Duration::from_millis(millis),
        ..Direction::default()
    }
}

fn within_a_runtime(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work);
}

#[test]
fn each_direction_has_its_delay() {
    as_root("each_direction_has_its_delay", || {
        within_a_runtime(async {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let running = Running::start(dir.path(), delayed(20), delayed(10)).await;
            let sockets = running.sockets();
            for number in 0..20 {
                let took = echo(&sockets, number).expect("an echo");
                assert!(took >= Duration::from_millis(30), "{took:?}");
            }
            let total = running.end().await;
            for direction in ["a_to_b", "b_to_a"] {
                let counted = &total[direction];
                assert_eq!(counted["packets"], 20, "{total}");
                assert_eq!(counted["received"], 20, "{total}");
                // 100 bytes, UDP's 8 and IP's 20.
                assert_eq!(counted["bytes"], 20 * 128, "{total}");
                assert!(counted["late_us"]["max"].as_u64().is_some(), "{total}");
            }
        });
    });
}

#[test]
fn what_is_lost_is_counted() {
    as_root("what_is_lost_is_counted", || {
        within_a_runtime(async {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let lossy = Direction {
                loss: Some(Loss::Random { percent: 30.0 }),
                ..delayed(2)
            };
            let running = Running::start(dir.path(), lossy, delayed(0)).await;
            let [near, far] = running.sockets();
            for _ in 0..200 {
                near.send(&[1; 100]).expect("sent");
            }
            // Packets keep their order: once a short one comes through, so has every long one that ever will.
            far.set_read_timeout(Some(Duration::from_millis(50)))
                .expect("a timeout");
            let mut buffer = [0; 200];
            let (mut sent, mut arrived, mut through) = (200_u64, 0_u64, false);
            while !through {
                near.send(&[2; 10]).expect("sent");
                sent += 1;
                while let Ok(length) = receive(&far, &mut buffer) {
                    arrived += 1;
                    through |= length == 10;
                }
            }
            let total = running.end().await;
            while receive(&far, &mut buffer).is_ok() {
                arrived += 1;
            }
            let there = &total["a_to_b"];
            assert_eq!(there["received"], sent, "{total}");
            assert_eq!(there["packets"], arrived, "{total}");
            assert_eq!(there["lost"], sent - arrived, "{total}");
            assert!((30..=95).contains(&(sent - arrived)), "{total}");
        });
    });
}

#[test]
fn an_outage_stops_traffic_and_ends() {
    as_root("an_outage_stops_traffic_and_ends", || {
        within_a_runtime(async {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let running = Running::start(dir.path(), delayed(1), delayed(1)).await;
            let sockets = running.sockets();
            echo(&sockets, 0).expect("an echo before");
            let [near, far] = &sockets;
            far.set_read_timeout(Some(Duration::from_millis(10)))
                .expect("a timeout");
            let mut buffer = [0; 200];
            let (mut sent, mut arrived) = (1, 1);
            let until = Instant::now() + PATIENCE;
            set_outage(&running.process, true);
            // One that does not arrive in time may be late: the link itself says what it dropped.
            while running.dropped_by_outage() < 5 {
                assert!(Instant::now() < until, "the outage did not begin");
                near.send(&[9; 100]).expect("sent");
                sent += 1;
                arrived += u64::from(receive(far, &mut buffer).is_ok());
            }
            set_outage(&running.process, false);
            let mut through = false;
            while !through {
                assert!(Instant::now() < until, "the outage did not end");
                near.send(&[1; 10]).expect("sent");
                sent += 1;
                while let Ok(length) = receive(far, &mut buffer) {
                    arrived += 1;
                    through |= length == 10;
                }
            }
            let total = running.end().await;
            while receive(far, &mut buffer).is_ok() {
                arrived += 1;
            }
            let there = &total["a_to_b"];
            assert_eq!(there["received"], sent, "{total}");
            assert_eq!(there["outage_dropped"], sent - arrived, "{total}");
        });
    });
}

#[test]
fn a_rate_bounds_what_comes_through() {
    as_root("a_rate_bounds_what_comes_through", || {
        within_a_runtime(async {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let narrow = Direction {
                rate_bps: Some(8_000_000),
                queue_bytes: 50_000,
                ..delayed(1)
            };
            let running = Running::start(dir.path(), narrow, delayed(0)).await;
            let [near, far] = running.sockets();
            let began = Instant::now();
            // 100 000 bytes at once: half of them find room, at 1000 bytes a millisecond.
            for _ in 0..100 {
                near.send(&[1; 972]).expect("sent");
            }
            // Packets keep their order: once a short one comes through, so has every long one that ever will.
            far.set_read_timeout(Some(Duration::from_millis(50)))
                .expect("a timeout");
            let mut buffer = [0; 1_500];
            let (mut short, mut arrived, mut through) = (0, 0, 0);
            let mut last = began.elapsed();
            while through == 0 {
                near.send(&[2; 10]).expect("sent");
                short += 1;
                while let Ok(length) = receive(&far, &mut buffer) {
                    if length == 10 {
                        through += 1;
                    } else {
                        arrived += 1;
                        last = began.elapsed();
                    }
                }
            }
            assert!(last >= Duration::from_millis(arrived + 1), "{last:?}");
            // What came later than the rate has it, came into a queue that emptied while the machine stood still.
            let late = u64::try_from(last.as_millis()).expect("short") - arrived;
            assert!((50..=60 + late).contains(&arrived), "{arrived} in {last:?}");
            let total = running.end().await;
            while receive(&far, &mut buffer).is_ok() {
                through += 1;
            }
            let dropped = 100 + short - arrived - through;
            assert_eq!(total["a_to_b"]["queue_dropped"], dropped, "{total}");
        });
    });
}

#[test]
fn the_mtu_is_the_one_that_was_asked_for() {
    as_root("the_mtu_is_the_one_that_was_asked_for", || {
        within_a_runtime(async {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let running = Running::start(dir.path(), delayed(0), delayed(0)).await;
            let [near, far] = running.sockets();
            let mut buffer = [0; 1_400];
            // 1400 bytes less IP's 20 and UDP's 8; one byte more makes two fragments.
            for length in [1_372, 1_373] {
                near.send(&buffer[..length]).expect("sent");
                assert_eq!(receive(&far, &mut buffer).expect("arrived"), length);
            }
            let total = running.end().await;
            assert_eq!(total["a_to_b"]["received"], 3, "{total}");
            assert_eq!(total["a_to_b"]["kernel_dropped"], 0, "{total}");
        });
    });
}

#[test]
fn a_second_link_of_that_name_is_refused() {
    as_root("a_second_link_of_that_name_is_refused", || {
        let namespaces = [Netns::new(), Netns::new()];
        namespaces[1].run("ip", &["link", "add", "wan0", "type", "veth"]);
        let args = LinkArgs {
            interface: "wan0".into(),
            a: namespaces[0].path(),
            b: namespaces[1].path(),
            mtu: 1500,
            a_to_b: Direction::default(),
            b_to_a: Direction::default(),
            seed: 0,
        };
        let error = serve(&args).expect_err("a name that is taken").to_string();
        assert!(error.contains("wan0"), "{error}");
        assert!(error.contains("is there one of that name"), "{error}");
    });
}

#[test]
fn tc_understands_the_lines() {
    as_root("tc_understands_the_lines", || {
        let mut directions: Vec<Direction> = testbed::wan::PRESETS
            .map(|preset| Wan::preset(preset.name).expect("a preset").a_to_b)
            .into();
        directions.push(Direction {
            jitter: Some(Jitter::Pareto(Duration::from_nanos(1_500))),
            loss: Some(Loss::Bursts {
                percent: 0.1,
                mean_length: 3.0,
            }),
            reorder_percent: 0.25,
            ..delayed(5)
        });
        directions.push(Direction {
            rate_bps: Some(50_000_000),
            queue_bytes: 65_536,
            ..Direction::default()
        });
        let has_netem = Capabilities::detect().has(Capability::Netem);
        for direction in directions {
            let namespace = Netns::new();
            for line in netem::lines("lo", 1500, &direction) {
                let words: Vec<&str> = line.split(' ').collect();
                let (well, text) = namespace.output("tc", &words);
                // A kernel without netem says so only once tc has understood the line.
                let unknown = text.contains("qdisc kind is unknown");
                if line.contains("netem") && !has_netem {
                    assert!(!well && unknown, "{line}: {text}");
                } else {
                    assert!(well, "{line}: {text}");
                }
            }
        }
    });
}
