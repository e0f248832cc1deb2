//! What strangers do to a server: nothing, nonsense, too much, too slowly.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{any, get as route};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use service::Shutdown;
use service::http::Limits;
use service::ops::Ops;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::talk::{PATIENCE, connect, exchange, get, loopback, rest, start, until};

fn live() -> Router {
    Router::new().route("/live", route(async || "live\n"))
}

#[tokio::test]
async fn two_hundred_silent_connections_do_not_silence_the_ops_port() {
    let server = Ops::new("test")
        .bind(loopback(), &Shutdown::new())
        .await
        .expect("a free port");
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(server.local_addr()).await);
    }
    let asked = Instant::now();
    assert!(
        get(server.local_addr(), "/live")
            .await
            .0
            .starts_with("http/1.1 200")
    );
    assert!(
        asked.elapsed() < Limits::default().header_timeout / 2,
        "{:?}",
        asked.elapsed()
    );
    assert!(
        get(server.local_addr(), "/metrics")
            .await
            .1
            .contains("xr_http_connections{listener=\"ops\"} 201")
    );
}

#[tokio::test]
async fn a_silent_crowd_beyond_the_limit_makes_room() {
    let limits = Limits {
        connections: 16,
        header_timeout: Duration::from_hours(1),
        ..Limits::default()
    };
    let mut registry = Registry::default();
    limits.counters.register(&mut registry, "test");
    let (address, _shutdown, _task) = start(live(), limits);
    let mut speaker = connect(address).await;
    speaker
        .write_all(b"GET /live HTTP/1.1\r\nhost: t\r\n\r\n")
        .await
        .unwrap();
    until(&mut speaker, "live\n").await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(address).await);
    }
    assert!(get(address, "/live").await.0.starts_with("http/1.1 200"));
    assert_eq!(
        rest(&mut silent[0]).await,
        "",
        "the oldest silent one was closed"
    );
    speaker
        .write_all(b"GET /live HTTP/1.1\r\nhost: t\r\n\r\n")
        .await
        .unwrap();
    assert!(
        until(&mut speaker, "live\n").await.contains("200 OK"),
        "whoever spoke stays"
    );
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(
        text.contains("xr_http_connections_evicted_total{listener=\"test\"} 186"),
        "{text}"
    );
}

#[tokio::test]
async fn when_all_are_in_use_the_next_hears_why() {
    let release = CancellationToken::new();
    let held = release.clone();
    let router = live().route("/hold", route(async move || held.cancelled().await));
    let (address, _shutdown, _task) = start(
        router,
        Limits {
            connections: 2,
            ..Limits::default()
        },
    );
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(address).await;
        stream
            .write_all(
                b"GET /live HTTP/1.1\r\nhost: t\r\n\r\nGET /hold HTTP/1.1\r\nhost: t\r\n\r\n",
            )
            .await
            .unwrap();
        until(&mut stream, "live\n").await;
        busy.push(stream);
    }
    // Whoever has sent a request reads the answer too: a close with the request unread would reset it away.
    let answer = exchange(address, b"GET /live HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("remedy"),
        "{answer}"
    );
    release.cancel();
    drop(busy);
    let freed = async {
        while !exchange(address, b"GET /live HTTP/1.0\r\n\r\n")
            .await
            .contains("200 OK")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("places are given back");
}

/// A connection whose peer takes little and reads nothing.
async fn deaf(address: std::net::SocketAddr) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2304).expect("small");
    let mut stream = socket.connect(address).await.expect("somebody listens");
    stream
        .write_all(b"GET /large HTTP/1.1\r\nhost: t\r\n\r\n")
        .await
        .expect("sent");
    stream
}

/// An answer that no buffer of a socket holds.
fn large() -> Router {
    live().route("/large", route(async || vec![b'x'; 64 << 20]))
}

#[tokio::test]
async fn peers_that_do_not_take_their_answers_make_room() {
    let limits = Limits {
        connections: 4,
        stall: Duration::from_hours(1),
        ..Limits::default()
    };
    let (address, _shutdown, _task) = start(large(), limits);
    let mut peers = Vec::new();
    for _ in 0..4 {
        peers.push(deaf(address).await);
    }
    let room = async {
        while !exchange(address, b"GET /live HTTP/1.0\r\n\r\n")
            .await
            .contains("200 OK")
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, room)
        .await
        .expect("one of them goes");
}

/// Requests without end are worked on at a pace, and who sends them keeps nobody out; who opens a connection to ask whether the program
/// lives has no turn to wait for.
#[tokio::test]
async fn requests_without_end_wait_for_their_turn_and_make_room() {
    let limits = Limits {
        connections: 2,
        urgent: &["/live"],
        ..Limits::default()
    };
    let mut registry = Registry::default();
    limits.counters.register(&mut registry, "test");
    let paced = || {
        let mut page = String::new();
        encode(&mut page, &registry).expect("text");
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("xr_http_requests_paced_total{listener=\"test\"} "));
        line.expect("it is counted")
            .parse::<u64>()
            .expect("a number")
    };
    let (address, _shutdown, _task) = start(live(), limits);
    for _ in 0..500 {
        assert!(get(address, "/live").await.0.contains("200 ok"));
    }
    assert_eq!(paced(), 0);
    let mut asking = Vec::new();
    for _ in 0..2 {
        let (mut answers, mut requests) = connect(address).await.into_split();
        asking.push(tokio::spawn(async move {
            let many = b"GET /live HTTP/1.1\r\nhost: t\r\n\r\n".repeat(100);
            while requests.write_all(&many).await.is_ok() {}
        }));
        asking.push(tokio::spawn(async move {
            let mut read = vec![0; 65536];
            while answers.read(&mut read).await.is_ok_and(|bytes| bytes > 0) {}
        }));
    }
    let waited = async {
        while paced() < 10 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waited)
        .await
        .expect("they wait");
    assert!(get(address, "/live").await.0.contains("200 ok"));
    asking.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn an_answer_that_is_not_taken_and_a_body_that_does_not_come_end() {
    let limits = Limits {
        stall: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut registry = Registry::default();
    limits.counters.register(&mut registry, "test");
    let (sender, mut chunks) = mpsc::unbounded_channel();
    let router = large().merge(Router::new().route("/feed", any(feed)).with_state(sender));
    let (address, _shutdown, _task) = start(router, limits);
    let _deaf = deaf(address).await;
    let mut slow = connect(address).await;
    slow.write_all(b"PUT /feed HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n")
        .await
        .expect("sent");
    let trickle = async {
        let mut answer = [0; 64];
        while slow.write_all(b"x").await.is_ok() {
            // The pace of the trickle, which the end of the connection cuts short.
            let pace = Duration::from_millis(20);
            if tokio::time::timeout(pace, slow.read(&mut answer))
                .await
                .is_ok()
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, trickle)
        .await
        .expect("a byte now and then does not keep a connection");
    let read = chunks.recv().await;
    assert!(
        read.is_some_and(|bytes| bytes < 1000),
        "it was read while it came: {read:?}"
    );
    let both = async {
        let mut text = String::new();
        while !text.contains("xr_http_connections_stalled_total{listener=\"test\"} 2") {
            text.clear();
            encode(&mut text, &registry).expect("text");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, both)
        .await
        .expect("both were closed");
}

#[tokio::test]
async fn a_web_page_is_refused() {
    let (address, _shutdown, _task) = start(live(), Limits::default());
    for method in ["GET", "POST"] {
        let request = format!(
            "{method} /live HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\n\
             connection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = exchange(address, request.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("remedy"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_ends_the_connection() {
    let limits = Limits {
        header_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let (address, _shutdown, _task) = start(live(), limits);
    let mut silent = connect(address).await;
    let mut half = connect(address).await;
    half.write_all(b"GET /live HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    let mut idle = connect(address).await;
    idle.write_all(b"GET /live HTTP/1.1\r\nhost: t\r\n\r\n")
        .await
        .unwrap();
    for stream in [&mut silent, &mut half] {
        assert_eq!(rest(stream).await, "");
    }
    assert!(
        rest(&mut idle).await.ends_with("live\n"),
        "also the wait for a next request ends"
    );
}

#[tokio::test]
async fn a_trickled_head_does_not_restart_the_clock() {
    let header_timeout = Duration::from_millis(300);
    let limits = Limits {
        header_timeout,
        ..Limits::default()
    };
    let (address, _shutdown, _task) = start(live(), limits);
    let begun = Instant::now();
    let mut stream = connect(address).await;
    let trickled = async {
        let mut answer = [0; 64];
        while stream.write_all(b"GET / HTTP/1.1\r\n").await.is_ok() {
            // The pace of the trickle, which the end of the connection cuts short.
            let pace = Duration::from_millis(50);
            if let Ok(read) = tokio::time::timeout(pace, stream.read(&mut answer)).await {
                return read.unwrap_or(0);
            }
        }
        0
    };
    let answered = tokio::time::timeout(PATIENCE / 2, trickled).await;
    assert_eq!(answered, Ok(0), "a head is not answered before it ends");
    assert!(
        begun.elapsed() >= header_timeout,
        "it had its time: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn nonsense_and_oversize_are_refused_and_the_server_goes_on() {
    let (address, _shutdown, _task) = start(live(), Limits::default());
    let mut oversize = b"GET /live HTTP/1.1\r\nx: ".to_vec();
    oversize.resize(40_000, b'a');
    let mut many = b"GET /live HTTP/1.1\r\n".to_vec();
    for n in 0..500 {
        many.extend(format!("x{n}: y\r\n").bytes());
    }
    many.extend(b"\r\n");
    let long_path = [
        b"GET /".to_vec(),
        vec![b'a'; 100_000],
        b" HTTP/1.1\r\n\r\n".to_vec(),
    ]
    .concat();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03nonsense\r\n\r\n".to_vec();
    let rtsp = b"OPTIONS rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n".to_vec();
    for (request, status) in [
        (oversize, "431"),
        (many, "431"),
        (long_path, "4"),
        (tls, "400"),
        (rtsp, "400"),
        (b"\0\0\0\0\r\n\r\n".to_vec(), "400"),
        (
            b"GET /live HTTP/1.1\r\nhost: t\r\ncontent-length: x\r\n\r\n".to_vec(),
            "400",
        ),
    ] {
        let answer = exchange(address, &request).await;
        // A peer that is still sending when it is refused may see a reset instead of the answer.
        let refused = answer.starts_with(&format!("HTTP/1.1 {status}"))
            || (request.len() > 50_000 && answer.is_empty());
        assert!(
            refused,
            "{:?}: {answer}",
            String::from_utf8_lossy(&request[..40.min(request.len())])
        );
        assert!(get(address, "/live").await.0.starts_with("http/1.1 200"));
    }
}

/// A handler that reports each chunk of a request's body as it comes.
async fn feed(State(chunks): State<mpsc::UnboundedSender<usize>>, body: Body) -> &'static str {
    let mut body = body;
    while let Some(Ok(frame)) = next_frame(&mut body).await {
        let _ = chunks.send(frame.data_ref().map_or(0, axum::body::Bytes::len));
    }
    "done\n"
}

async fn next_frame(
    body: &mut Body,
) -> Option<Result<hyper::body::Frame<axum::body::Bytes>, axum::Error>> {
    std::future::poll_fn(|context| {
        hyper::body::Body::poll_frame(std::pin::Pin::new(&mut *body), context)
    })
    .await
}

#[tokio::test]
async fn bodies_stream_and_a_request_in_flight_outlives_the_shutdown() {
    let (sender, mut chunks) = mpsc::unbounded_channel();
    let router = Router::new().route("/feed", any(feed)).with_state(sender);
    let (address, shutdown, task) = start(router, Limits::default());
    let mut stream = connect(address).await;
    stream
        .write_all(
            b"PUT /feed HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        )
        .await
        .unwrap();
    assert_eq!(
        chunks.recv().await,
        Some(3),
        "the first chunk is there before the body ends"
    );
    shutdown.begin();
    stream.write_all(b"4\r\ndefg\r\n").await.unwrap();
    assert_eq!(chunks.recv().await, Some(4));
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("done\n"),
        "{answer}"
    );
    tokio::time::timeout(PATIENCE, task)
        .await
        .expect("the server ends with its last request")
        .unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_cut_off_after_the_grace() {
    let (sender, mut chunks) = mpsc::unbounded_channel();
    let router = Router::new().route("/feed", any(feed)).with_state(sender);
    let (address, shutdown, task) = start(
        router,
        Limits {
            drain: Duration::from_millis(200),
            ..Limits::default()
        },
    );
    let mut stream = connect(address).await;
    stream
        .write_all(b"PUT /feed HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\nabc")
        .await
        .unwrap();
    assert_eq!(chunks.recv().await, Some(3));
    shutdown.begin();
    tokio::time::timeout(PATIENCE, task)
        .await
        .expect("the grace ends")
        .unwrap();
    assert_eq!(rest(&mut stream).await, "");
}
