//! Ten thousand connections that want nothing good, over every port, beside one stream: what its viewer notices.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use timeline::frames_csv::{FrameRow, Outcome};
use timeline::{Point, UnixMicros};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{self, Instant, sleep_until, timeout};

use super::figure::{Bound, Figure};
use super::renderer::render;
use crate::{Sandbox, rows};

/// Connections of a crowd.
const CONNECTIONS: usize = 10_000;

/// Connections that are opened at once.
const WAVE: usize = 20;

/// From one wave to the next.
const EVERY: Duration = Duration::from_millis(24);

/// How long a part of a round is: with a crowd, and without.
const PART: Duration = Duration::from_secs(15);

/// Rounds of a part without a crowd and one with it.
const ROUNDS: usize = 4;

/// Addresses that the connections come from, so that no limit of a single peer keeps them out.
const PEERS: usize = 200;

/// How long a connection may take to be opened, and to be answered.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a connection does once it is open, until it is closed from the other side or the part ends.
#[derive(Clone, Copy)]
enum Manner {
    /// Says nothing.
    Idle,
    /// Says the first half of a request.
    HalfSaid,
    /// Says a request byte by byte.
    Slow,
    /// Says a whole request, and reads no answer.
    Silent,
}

const MANNERS: [Manner; 4] = [Manner::Idle, Manner::HalfSaid, Manner::Slow, Manner::Silent];

pub(super) async fn measure() -> Vec<Figure> {
    // As many descriptors as the system gives without being asked.
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let sandbox = Sandbox::new();
    let streamer = sandbox.streamer(&[]).await;
    let _renderer = render(&sandbox, &streamer, &[]).await;
    let out = sandbox.path("collected").display().to_string();
    let collect = [
        "--listen",
        "127.0.0.1:0",
        "--ops",
        "127.0.0.1:0",
        "--one-clock",
        "--out",
        &out,
    ];
    let collector = sandbox.start("collector", "xr-collector", &collect).await;
    let file = sandbox.path("frames.csv");
    let (frames, to) = (
        file.display().to_string(),
        format!("http://{}", collector.addr("listen")),
    );
    let play = [
        "--frames",
        &frames,
        "--transport",
        "udp",
        "--collector",
        &to,
    ];
    let client = sandbox.client(&streamer.rtsp_url("feed"), &play).await;
    client.shows(120, Duration::from_secs(30)).await;

    step_back().await;
    let ports = [
        streamer.addr("http"),
        streamer.addr("rtsp"),
        streamer.addr("ops"),
        collector.addr("listen"),
        collector.addr("ops"),
        client.addr("ops"),
    ];
    let mut parts = Vec::new();
    let (mut opened, mut kept) = (0, 0);
    for _ in 0..ROUNDS {
        for with_crowd in [false, true] {
            let (begins, ends) = (service::clock::now(), Instant::now() + PART);
            if with_crowd {
                let (of, left) = crowd(&ports, ends).await;
                opened += of;
                kept += left;
            } else {
                sleep_until(ends).await;
            }
            parts.push((with_crowd, begins, service::clock::now()));
        }
    }
    let reconnects = client.ops().metric("xr_client_reconnects_total").await;
    client.terminate().await;
    figures(&parts, &rows(&file), [opened, kept], reconnects)
}

/// A crowd comes from other machines: what it costs to be one is not the services' to bear. Every thread of this process gives way.
async fn step_back() {
    let threads = std::fs::read_dir("/proc/self/task").expect("this process has threads");
    let threads = threads.flatten().map(|thread| thread.file_name());
    let mut renice = Command::new("renice");
    let reniced = renice.args(["-n", "10", "-p"]).args(threads).output().await;
    let done = reniced.is_ok_and(|output| output.status.success());
    assert!(done, "renice cannot be run");
}

/// What came of the parts: with a crowd or not, and from when to when.
fn figures(
    parts: &[(bool, UnixMicros, UnixMicros)],
    rows: &[FrameRow],
    [opened, kept]: [usize; 2],
    reconnects: Option<f64>,
) -> Vec<Figure> {
    let of = |crowded: bool| -> Vec<Vec<&FrameRow>> {
        let parts = parts.iter().filter(|(with, ..)| *with == crowded);
        let within = |row: &&FrameRow, begins, ends| {
            let at = row.at(Point::Generated);
            at.is_some_and(|at| (begins..ends).contains(&at))
        };
        let rows = |begins, ends| rows.iter().filter(move |row| within(row, begins, ends));
        parts
            .map(|(_, begins, ends)| rows(*begins, *ends).collect())
            .collect()
    };
    let [quiet, crowded] = [of(false), of(true)];
    let gaps = crowded.iter().filter_map(|part| longest_gap_ms(part));
    let longest = gaps.reduce(f64::max);
    let ratio = p99_ms(&crowded)
        .zip(p99_ms(&quiet))
        .map(|(with, without)| with / without);
    let what = |name: &str| format!("{CONNECTIONS} connections over every port: {name}");
    vec![
        Figure::of(what("opened, of all rounds"), opened as f64, "connections")
            .within(Bound::AtLeast((ROUNDS * CONNECTIONS) as f64 * 0.99)),
        Figure::of(
            what("still open at the end of a round"),
            kept as f64 / ROUNDS as f64,
            "connections",
        ),
        Figure::of(what("p99 without"), p99_ms(&quiet), "ms"),
        Figure::of(what("p99 with"), p99_ms(&crowded), "ms"),
        Figure::of(what("p99 with, of that without"), ratio, "").within(Bound::AtMost(1.1)),
        Figure::of(what("longest gap between frames"), longest, "ms").within(Bound::AtMost(200.0)),
        Figure::of(
            what("times that the viewer began anew"),
            reconnects.unwrap_or(0.0),
            "",
        )
        .within(Bound::AtMost(0.0)),
    ]
}

/// Opens the connections in waves and holds them until `ends`. Returns how many were opened, and how many were still open then.
async fn crowd(ports: &[SocketAddr], ends: Instant) -> (usize, usize) {
    let mut held = JoinSet::new();
    let mut waves = time::interval(EVERY);
    for number in 0..CONNECTIONS {
        if number.is_multiple_of(WAVE) {
            waves.tick().await;
        }
        let port = ports[number % ports.len()];
        let manner = MANNERS[number / ports.len() % MANNERS.len()];
        let low = u8::try_from(2 + number % PEERS).unwrap_or(2);
        held.spawn(connection(
            port,
            Ipv4Addr::new(127, 0, 0, low),
            manner,
            ends,
        ));
    }
    let ended = held.join_all().await;
    let opened = ended.iter().flatten();
    let kept = opened.clone().filter(|kept| **kept).count();
    (opened.count(), kept)
}

/// One connection. Returns whether it was still open at the end; nothing if it could not be opened.
async fn connection(
    port: SocketAddr,
    from: Ipv4Addr,
    manner: Manner,
    ends: Instant,
) -> Option<bool> {
    let open = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(port).await
    };
    let mut stream = timeout(PATIENCE, open).await.ok()?.ok()?;
    let closed = time::timeout_at(ends, behave(&mut stream, manner, port)).await;
    Some(closed.is_err())
}

/// Behaves badly until the other side closes.
async fn behave(stream: &mut TcpStream, manner: Manner, port: SocketAddr) {
    let request = format!(
        "OPTIONS * HTTP/1.1\r\nhost: {port}\r\ncseq: 1\r\nx-long: {}\r\n\r\n",
        "x".repeat(200)
    );
    let request = request.as_bytes();
    let mut end = [0; 1];
    match manner {
        Manner::Idle => {}
        Manner::HalfSaid => {
            let _ = stream.write_all(&request[..request.len() / 2]).await;
        }
        Manner::Slow => {
            let mut ticks = time::interval(Duration::from_secs(1));
            for byte in request {
                ticks.tick().await;
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        }
        Manner::Silent => {
            let _ = stream.write_all(request).await;
            // Nothing more can be written once the other side has closed.
            let _ = stream.ready(Interest::ERROR).await;
            return;
        }
    }
    while stream.read(&mut end).await.is_ok_and(|count| count > 0) {}
}

fn p99_ms(parts: &[Vec<&FrameRow>]) -> Option<f64> {
    let rows = parts.iter().flatten();
    let mut latencies: Vec<_> = rows.filter_map(|row| row.latency_us()).collect();
    latencies.sort_unstable();
    let rank = (latencies.len() * 99).div_ceil(100).max(1);
    latencies.get(rank - 1).map(|us| *us as f64 / 1e3)
}

fn longest_gap_ms(rows: &[&FrameRow]) -> Option<f64> {
    let mut shown: Vec<_> = rows
        .iter()
        .filter(|row| row.outcome == Outcome::Shown)
        .filter_map(|row| row.shown)
        .collect();
    shown.sort_unstable();
    let gaps = shown.windows(2).map(|pair| pair[1].micros_since(pair[0]));
    gaps.max().map(|us| us as f64 / 1e3)
}
