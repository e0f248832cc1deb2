//! The tunnel router between namespaces of this kernel, with itself and with Open Overlay Router at the other end; as root.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lisp::bench::ends::{
    A, A6, B, B6, C, End, MAP_SERVER, MAP_SERVER6, await_carried, oor, oor_map_server, ours,
    ours_registered,
};
use lisp::bench::layout::TUNNEL;
use lisp::bench::network::{Running, TestNetwork};
use lisp::bench::pingpong;

/// Far beyond what anything awaited here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Round trips that are made through each tunnel.
const TRIPS: usize = 20;

/// The text of the last packet of a capture.
const LAST: &str = "the-capture-ends-here";

fn network() -> TestNetwork {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_xr-lisp"));
    TestNetwork::make(&TUNNEL, false, program)
        .expect("namespaces, as root, with iproute2 and ethtool")
}

/// The value of a metric of our tunnel router in a place; the sum of those whose labels have `label`.
fn metric(network: &TestNetwork, place: &str, name: &str, label: &str) -> f64 {
    let metrics = ["-s", "http://127.0.0.1:9096/metrics"];
    // One that has not started yet has counted nothing.
    let text = network.call(place, "curl", &metrics).unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Captures both ways between the routers while `work` runs, and returns the file.
fn captured(network: &TestNetwork, folder: &Path, work: impl FnOnce()) -> PathBuf {
    let file = folder.join("tunnel.pcap");
    // An earlier capture in the same place would be taken for the beginning and the end of this one.
    std::fs::remove_file(&file).or_else(absent_is_fine).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let args = ["-i", "to-a", "-U", "--immediate-mode", "-w", &path, "udp"];
    let _capture: Running = network.start("core", "tcpdump", &args).unwrap();
    // The header of the file is written once packets are being captured.
    await_file(&file, |bytes| bytes.len() >= 24);
    work();
    // Packets are written in their order: once the last is in the file, all are.
    let last = format!("printf {LAST} >/dev/udp/10.0.0.1/9");
    network.call("core", "bash", &["-c", &last]).unwrap();
    await_file(&file, |bytes| {
        bytes
            .windows(LAST.len())
            .any(|part| part == LAST.as_bytes())
    });
    file
}

fn absent_is_fine(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

fn await_file(file: &Path, holds: impl Fn(&[u8]) -> bool) {
    let start = Instant::now();
    while !std::fs::read(file).is_ok_and(|bytes| holds(&bytes)) {
        assert!(start.elapsed() < PATIENCE, "tcpdump captures nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn tshark(file: &Path, args: &[&str]) -> Vec<String> {
    let output = std::process::Command::new("tshark")
        .args(["-r", file.to_str().unwrap()])
        .args(args)
        .output()
        .expect("tshark is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// tshark finds nothing wrong with what was sent, and the fields of every packet are what RFC 9300 asks for.
fn is_as_the_rfc_says(file: &Path, instance: &str) {
    // The captured link computes checksums by itself: where the system makes the outer header, it has none yet.
    let wrong = "_ws.malformed || _ws.expert.severity>=6291456 || icmp";
    let said = [
        "-Y",
        wrong,
        "-T",
        "fields",
        "-e",
        "_ws.expert.message",
        "-e",
        "_ws.col.Info",
    ];
    assert_eq!(tshark(file, &said), Vec::<String>::new());
    let mut args = vec![
        "-Y",
        "lisp-data && udp.dstport==7",
        "-T",
        "fields",
        "-E",
        "separator=;",
    ];
    for field in [
        "ip.ttl",
        "ip.dsfield",
        "ip.flags.df",
        "udp.srcport",
        "udp.checksum",
        "lisp-data.iid",
    ] {
        args.extend(["-e", field]);
    }
    let packets = tshark(file, &args);
    assert!(packets.len() >= TRIPS, "{packets:?}");
    for packet in &packets {
        let fields: Vec<_> = packet.split(';').collect();
        let same = |field: &str| {
            let mut values = field.split(',');
            let first = values.next().unwrap().to_owned();
            assert!(
                values.all(|value| value == first),
                "outer and inner differ in {packet}"
            );
            first
        };
        // The client's packet has passed one router: the tunnel router itself.
        assert_eq!(
            (same(fields[0]), same(fields[1])),
            ("63".to_owned(), "0x00".to_owned())
        );
        assert!(
            fields[2].starts_with('1') || fields[2].starts_with("True"),
            "{packet}"
        );
        let port: u16 = fields[3].split(',').next().unwrap().parse().unwrap();
        assert!(port >= 0x8000, "{packet}");
        let has_checksum = !fields[4].starts_with("0x0000,");
        assert_eq!(has_checksum, instance == "7", "{packet}");
        assert_eq!(fields[5], instance, "{packet}");
    }
}

#[test]
fn packets_are_carried_between_any_two_tunnel_routers() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (more, instance) in [
        (["--offloads", "off"].as_slice(), ""),
        (&["--instance", "7", "--queues", "2"], "7"),
    ] {
        let network = network();
        let mut ends = [
            ours(&network, A, more).unwrap(),
            ours(&network, B, more).unwrap(),
        ];
        await_carried(&network, &mut ends).unwrap();
        let file = captured(&network, folder, || {
            assert_eq!(pingpong::round_trips(&network, TRIPS).unwrap().len(), TRIPS);
        });
        is_as_the_rfc_says(&file, instance);
        assert!(metric(&network, "b", "xr_lisp_data_packets_total", "in") >= TRIPS as f64);
        assert!(metric(&network, "b", "xr_lisp_data_dropped_total", "way=\"in\"").abs() < 1.0);
    }

    // Open Overlay Router at either end.
    let network = network();
    let mut ends = [
        ours(&network, A, &[]).unwrap(),
        oor(&network, B, folder).unwrap(),
    ];
    await_carried(&network, &mut ends).unwrap();
    pingpong::round_trips(&network, TRIPS).unwrap();
    drop(ends);
    drop(network);
    let network = self::network();
    let mut ends = [
        oor(&network, A, folder).unwrap(),
        ours(&network, B, &[]).unwrap(),
    ];
    await_carried(&network, &mut ends).unwrap();
    pingpong::round_trips(&network, TRIPS).unwrap();
    assert!(metric(&network, "b", "xr_lisp_data_packets_total", "in") >= TRIPS as f64);
    drop(ends);

    // Another instance's packets go nowhere.
    drop(network);
    let network = self::network();
    let ends = [
        ours(&network, A, &["--instance", "8"]).unwrap(),
        ours(&network, B, &[]).unwrap(),
    ];
    let start = Instant::now();
    let refused = || {
        metric(
            &network,
            "b",
            "xr_lisp_data_dropped_total",
            "reason=\"instance\"",
        )
    };
    while refused() < 1.0 {
        assert!(start.elapsed() < PATIENCE);
        let _ = pingpong::round_trips(&network, 1);
    }
    assert!(metric(&network, "b", "xr_lisp_data_packets_total", "way=\"in\"").abs() < 1.0);
    drop(ends);
}

#[test]
fn mappings_come_from_open_overlay_router_as_map_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let network = network();
    let _server = oor_map_server(&network, folder).unwrap();
    let file = captured(&network, folder, || {
        let end = |end, name: &str| {
            let key = folder.join(name);
            std::fs::write(&key, name).unwrap();
            let more = ["--key-id", "0", "--key-algorithm", "sha1", "--probe-s", "1"];
            ours_registered(&network, end, MAP_SERVER, &key, &more).unwrap()
        };
        let mut ends = [end(A, "a"), end(B, "b")];
        await_carried(&network, &mut ends).unwrap();
        assert_eq!(pingpong::round_trips(&network, TRIPS).unwrap().len(), TRIPS);
        // The first packet waited for its mapping at each end.
        for place in ["a", "b"] {
            assert!(
                metric(&network, place, "xr_lisp_data_dropped_total", "no_mapping").abs() < 1.0
            );
        }
        let start = Instant::now();
        // A locator that answers its probes stays, and its round trip is known.
        while metric(&network, "a", "xr_lisp_xtr_round_trip_seconds", "10.0.0.2") <= 0.0 {
            assert!(start.elapsed() < PATIENCE, "no probe is answered");
        }
    });
    let wrong = "_ws.malformed || _ws.expert.severity>=6291456";
    let said = [
        "-o",
        "udp.check_checksum:FALSE",
        "-Y",
        wrong,
        "-T",
        "fields",
        "-e",
        "_ws.expert.message",
    ];
    assert_eq!(tshark(&file, &said), Vec::<String>::new());
    let types = tshark(&file, &["-Y", "lisp", "-T", "fields", "-e", "lisp.type"]);
    // Map-Request, Map-Reply, Map-Register, Map-Notify, and the request within another message.
    for kind in ["1", "2", "3", "4", "8"] {
        assert!(
            types
                .iter()
                .any(|found| found.split(',').any(|one| one == kind)),
            "{types:?}"
        );
    }
}

/// One round trip from the client to the address of the pod, wherever that is.
fn comes_back(network: &TestNetwork) -> bool {
    let program = network.program().unwrap();
    let args = [
        "bench",
        "ping",
        "--to",
        "10.96.0.10:7",
        "--count",
        "1",
        "--patience-ms",
        "20",
    ];
    network
        .call("client", program, &args)
        .is_ok_and(|trips| !trips.is_empty())
}

/// Our control plane in the core at an address, and the key of its three sites.
fn control_plane(network: &TestNetwork, folder: &Path, address: &str) -> (Running, PathBuf) {
    let key = folder.join("key");
    std::fs::write(&key, "secret").unwrap();
    let mut config = format!(
        "address = \"{address}\"\n[[pool]]\nname = \"default\"\nprefix = \"10.112.0.0/16\"\n"
    );
    for (id, prefix) in [
        (1, "192.168.1.0/24"),
        (2, "10.96.0.0/24"),
        (3, "10.96.0.0/24"),
    ] {
        config += &format!(
            "[[site]]\nid = {id}\nname = \"site-{id}\"\nkey = [{{ id = 1, file = \"{}\" }}]\nprefixes = [{prefix:?}]\n",
            key.display()
        );
    }
    let (file, store, token) = (
        folder.join("lisp.toml"),
        folder.join("store"),
        folder.join("token"),
    );
    std::fs::write(&file, config).unwrap();
    std::fs::write(&token, "a-token-that-nobody-else-has").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let args = [
        "control",
        "--config",
        &text(&file),
        "--store",
        &text(&store),
        "--token-file",
        &text(&token),
    ];
    let address: std::net::IpAddr = address.parse().unwrap();
    let listen = std::net::SocketAddr::new(address, 4342).to_string();
    let listen = ["--listen", &listen, "--ops", "127.0.0.1:9095"];
    let program = network.program().unwrap();
    let server = network
        .start("core", program, &[args.as_slice(), &listen].concat())
        .unwrap();
    network.await_listener("core", "-u", "4342").unwrap();
    (server, key)
}

#[test]
fn locators_and_map_server_may_be_of_ipv6() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let carried = |network: &TestNetwork, ends: &mut [Running]| {
        await_carried(network, ends).unwrap();
        let file = captured(network, folder, || {
            assert_eq!(pingpong::round_trips(network, TRIPS).unwrap().len(), TRIPS);
        });
        let outer = [
            "-Y",
            "lisp-data",
            "-T",
            "fields",
            "-e",
            "ipv6.src",
            "-e",
            "ipv6.dst",
            "-e",
            "ip.dst",
        ];
        let packets = tshark(&file, &outer);
        assert!(packets.len() >= 2 * TRIPS, "{packets:?}");
        let (there, back) = (
            "fd00::1\tfd00::2\t10.96.0.10",
            "fd00::2\tfd00::1\t192.168.1.2",
        );
        for packet in &packets {
            assert!([there, back].contains(&packet.as_str()), "{packet}");
        }
        // RFC 9300 has no checksum over IPv6 either.
        let wrong = [
            "-o",
            "udp.check_checksum:FALSE",
            "-o",
            "udp.ignore_ipv6_zero_checksum:TRUE",
            "-Y",
            "_ws.malformed || _ws.expert.severity>=6291456",
        ];
        assert_eq!(tshark(&file, &wrong), Vec::<String>::new());
    };
    for more in [["--offloads", "off"], ["--offloads", "auto"]] {
        let network = network();
        let mut ends = [
            ours(&network, A6, &more).unwrap(),
            ours(&network, B6, &more).unwrap(),
        ];
        carried(&network, &mut ends);
    }
    let network = network();
    let (_server, key) = control_plane(&network, folder, MAP_SERVER6);
    let end = |end: End, site| {
        ours_registered(&network, end, MAP_SERVER6, &key, &["--site", site]).unwrap()
    };
    let mut ends = [end(A6, "1"), end(B6, "2")];
    carried(&network, &mut ends);
    assert!(metric(&network, "a", "xr_lisp_xtr_control_total", "\"subscribed\"") >= 1.0);
}

#[test]
fn a_service_moves_when_its_tunnel_router_ends_and_comes_back() {
    const SERVER: &str = "10.0.0.250";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let network = network();
    let program = network.program().unwrap();
    let places = "address add 10.0.0.250/24 dev lan\naddress add 10.96.0.10/32 dev lo\n";
    network.configure("core", places).unwrap();
    let (_server, key) = control_plane(&network, folder, SERVER);
    let _echoes = ["pod", "core"].map(|place| {
        let echo = network
            .start(
                place,
                program,
                &["bench", "echo", "--listen", "10.96.0.10:7"],
            )
            .unwrap();
        network.await_listener(place, "-u", "7").unwrap();
        echo
    });
    let end = |end, site, priority| {
        let more = ["--site", site, "--priority", priority];
        ours_registered(&network, end, SERVER, &key, &more).unwrap()
    };
    let (_a, b, _c) = (end(A, "1", "1"), end(B, "2", "1"), end(C, "3", "2"));
    let received = |place| metric(&network, place, "xr_lisp_data_packets_total", "way=\"in\"");
    let until = |what: &str, mut is_so: Box<dyn FnMut() -> bool + '_>| {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < PATIENCE, "{what}");
        }
        start.elapsed()
    };
    until(
        "nothing arrives at b",
        Box::new(|| comes_back(&network) && received("b") >= 1.0),
    );
    // What is registered is withdrawn and published before the program has ended.
    let start = Instant::now();
    b.end().unwrap();
    let ended = start.elapsed();
    let moved = until(
        "nothing comes back from c",
        Box::new(|| comes_back(&network)),
    );
    eprintln!("ended in {ended:?}, and something came back {moved:?} later");
    let before = received("core");
    assert!(before >= 1.0 && comes_back(&network) && received("core") > before);
    // The better one is back.
    let _b = end(B, "2", "1");
    until(
        "nothing arrives at b again",
        Box::new(|| comes_back(&network) && received("b") >= 1.0),
    );
}
