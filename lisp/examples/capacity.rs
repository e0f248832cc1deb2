//! What a Map-Server holds and how fast it answers, as services grow: the machine alone, and a control plane that runs.
//!
//! ```sh
//! cargo run --release -p lisp --example capacity
//! cargo run --release -p lisp --example capacity -- 127.0.0.1:4342      # 5000 Map-Requests a second for 10 s
//! ```
//!
//! The one that runs has a site with the id 1, the key 1 `secret`, and the prefix 10.112.0.0/16.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::unwrap_used, reason = "an example that cannot go on panics")]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lisp::auth::{Algorithm, Key, KeyRing};
use lisp::eid::{Eid, InstanceId};
use lisp::pace::Rate;
use lisp::ports::CONTROL_PORT;
use lisp::server::{MapServer, ServerConfig, Site};
use lisp::wire::{
    Encapsulated, Identity, Locator, MapRequest, Record, RegisterFlags, Signed, SignedKind,
};

const SECRET: &[u8] = b"secret";
const CLUSTERS: u64 = 4;

/// Records of a Map-Register that fits 576 bytes.
const RECORDS: usize = 17;

const REQUESTS: u32 = 200_000;

/// What is asked of a control plane that runs.
const PER_SECOND: u32 = 5_000;
const SECONDS: u32 = 10;
const SERVICES: usize = 10_000;

fn service(number: usize) -> Eid {
    let number = u32::try_from(number).unwrap();
    Eid::host(
        InstanceId::default(),
        IpAddr::V4((0x0a70_0001 + number).into()),
    )
}

fn server(now: Instant) -> MapServer {
    let site = |id: u64| Site {
        name: format!("cluster-{id}"),
        keys: KeyRing::new().with(1, SECRET),
        key: Key::new(1, Algorithm::Sha256, SECRET),
        prefixes: vec!["10.112.0.0/16".parse().unwrap()],
        rlocs: vec![],
        lax_nonces: false,
        anonymous: false,
    };
    let sites = (1..=CLUSTERS).map(|id| (id, site(id))).collect();
    let mut config = ServerConfig::new([10, 0, 0, 1].into(), sites);
    let without = Rate {
        per_second: 1e9,
        burst: 1e9,
    };
    (config.limits.requests_each, config.limits.requests_all) = (without, without);
    MapServer::new(config, 1, now)
}

/// The Map-Registers of a cluster's services, in messages of the length that is sent.
fn registers(site_id: u64, services: usize, nonce: &mut u64) -> impl Iterator<Item = Vec<u8>> {
    let key = Key::new(1, Algorithm::Sha256, SECRET);
    let rloc = rloc(site_id);
    let numbers: Vec<_> = (0..services).collect();
    let chunks: Vec<Vec<usize>> = numbers.chunks(RECORDS).map(<[_]>::to_vec).collect();
    let first = *nonce;
    *nonce += chunks.len() as u64;
    (first..).zip(chunks).map(move |(nonce, numbers)| {
        let record =
            |number: &usize| Record::new(service(*number), 60, vec![Locator::new(rloc, 1, 100)]);
        let flags = RegisterFlags::PROXY_REPLY | RegisterFlags::MERGE | RegisterFlags::WANT_NOTIFY;
        let message = Signed {
            kind: SignedKind::Register(flags),
            nonce,
            records: numbers.iter().map(record).collect(),
            identity: Some(Identity {
                xtr_id: site_id.into(),
                site_id,
            }),
        };
        message.encode(&key)
    })
}

fn rloc(site_id: u64) -> IpAddr {
    IpAddr::from([10, 0, 1, u8::try_from(site_id).unwrap()])
}

/// Registers services from every cluster; how long a record takes.
fn register(server: &mut MapServer, services: usize, nonce: &mut u64, now: Instant) -> Duration {
    let mut took = Duration::ZERO;
    for site_id in 1..=CLUSTERS {
        let source = SocketAddr::new(rloc(site_id), CONTROL_PORT);
        for message in registers(site_id, services, nonce) {
            let begun = Instant::now();
            server.handle(source, &message, now).unwrap();
            while server.poll_transmit().is_some() {}
            took += begun.elapsed();
        }
    }
    took / u32::try_from(services).unwrap() / u32::try_from(CLUSTERS).unwrap()
}

fn request(nonce: u64, eid: Eid, itr: IpAddr, port: u16) -> Vec<u8> {
    Encapsulated {
        source: SocketAddr::new(itr, port),
        destination: eid.address(),
        request: MapRequest::new(nonce, eid, vec![itr]),
    }
    .encode()
}

/// Map-Requests of many ITRs; how long one takes.
fn ask(server: &mut MapServer, services: usize, now: Instant) -> Duration {
    let message = |number: u32| {
        let itr = IpAddr::V4((0xc000_0000 + number).into());
        let eid = service((number as usize).wrapping_mul(7_919) % services);
        (
            SocketAddr::new(itr, CONTROL_PORT),
            request(number.into(), eid, itr, CONTROL_PORT),
        )
    };
    let messages: Vec<_> = (0..REQUESTS).map(message).collect();
    let begun = Instant::now();
    let mut answered = 0;
    for (source, message) in &messages {
        server.handle(*source, message, now).unwrap();
        while server.poll_transmit().is_some() {
            answered += 1;
        }
    }
    assert_eq!(answered, REQUESTS);
    begun.elapsed() / REQUESTS
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// One line: a process of its own, so that its memory is the Map-Server's.
fn alone(services: usize) {
    let now = Instant::now();
    let before = resident_kib();
    let mut server = server(now);
    let mut nonce = 0;
    let first = register(&mut server, services, &mut nonce, now);
    let kib = resident_kib().saturating_sub(before);
    let later = now + Duration::from_mins(1);
    let again = register(&mut server, services, &mut nonce, later);
    let one = ask(&mut server, services, later);
    let us = |duration: Duration| duration.as_secs_f64() * 1e6;
    println!(
        "{services:>8} x {CLUSTERS}  {:>16.2}  {:>15.2}  {:>10.2}  {:>10.0}  {kib}",
        us(first),
        us(again),
        us(one),
        1.0 / one.as_secs_f64()
    );
}

fn growth() {
    println!("services x clusters  us/record  us/record again  us/request  requests/s  KiB");
    for services in ["1000", "2500", "5000", "10000"] {
        let program = std::env::current_exe().unwrap();
        let status = std::process::Command::new(program)
            .args(["alone", services])
            .status();
        assert!(status.unwrap().success());
    }
}

/// Asks a control plane that runs, from four addresses of this machine, at a fixed rate.
fn against(server: SocketAddr) {
    let bind = |last| {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let sockets: Vec<_> = (101..=104).map(bind).collect();
    // Above that of every run before.
    let mut nonce = service::clock::now().0 * 1_000;
    for message in registers(1, SERVICES, &mut nonce) {
        sockets[0].send_to(&message, server).unwrap();
        std::thread::sleep(Duration::from_micros(200));
    }
    let interval = Duration::from_secs(1) / PER_SECOND;
    let total = PER_SECOND * SECONDS;
    let begun = Instant::now();
    let mut sent_at = Vec::new();
    let mut took = Vec::new();
    let mut take = |sent_at: &[Instant]| {
        let mut buffer = [0; 2_048];
        for socket in &sockets {
            while let Ok((length, _)) = socket.recv_from(&mut buffer) {
                let nonce = u64::from_be_bytes(buffer[4..12].try_into().unwrap());
                assert!(length > 12);
                took.push(sent_at[usize::try_from(nonce).unwrap()].elapsed());
            }
        }
        took.len()
    };
    for number in 0..total {
        let due = begun + interval * number;
        while Instant::now() < due {
            take(&sent_at);
            std::hint::spin_loop();
        }
        // Another ITR each time that a service comes round again: one and the same would be answered once in 3 s.
        let place = number as usize;
        let socket = &sockets[(place + place / SERVICES) % sockets.len()];
        let itr = socket.local_addr().unwrap();
        let message = request(
            number.into(),
            service(place % SERVICES),
            itr.ip(),
            itr.port(),
        );
        sent_at.push(Instant::now());
        socket.send_to(&message, server).unwrap();
    }
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end && take(&sent_at) < total as usize {}
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{} of {total} answered; {:?} at p50, {:?} at p99, {:?} at most",
        took.len(),
        at(50),
        at(99),
        at(100)
    );
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => growth(),
        [alone, services] if alone == "alone" => self::alone(services.parse().unwrap()),
        [server, ..] => against(
            server
                .parse()
                .expect("the address of a control plane's control port"),
        ),
    }
}
