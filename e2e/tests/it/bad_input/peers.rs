//! Peers that talk nonsense, and peers that say nothing.

use std::net::SocketAddr;

use e2e::{Sandbox, Service, Transport, Viewer};
use testbed::resources;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tools::{PATIENCE, Trio, still_serves};

/// Says `bytes`, and gives back what comes within a moment, or until the end.
async fn say(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.expect("connected");
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn serves_a_viewer(streamer: &Service) {
    for transport in [Transport::Udp, Transport::Tcp] {
        let viewer = Viewer::play(&streamer.rtsp_url("feed"), transport)
            .await
            .expect("a session");
        assert!(
            viewer.first_picture(PATIENCE).await.is_some(),
            "no picture over {transport:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rtsp_nonsense() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    let rtsp = trio.streamer.addr("rtsp");
    let url = trio.streamer.rtsp_url("feed");
    let media = format!("{url}/stream=0");
    let noise: Vec<u8> = (0..100_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect();
    let requests: Vec<(Vec<u8>, &str)> = vec![
        (noise, ""),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ""),
        (b"\r\n\r\n\r\n\0\0\0".to_vec(), ""),
        ([b"DESCRIBE ".to_vec(), vec![b'a'; 1 << 20]].concat(), ""),
        ([b"OPTIONS * RTSP/1.0\r\n".to_vec(), b"A: b\r\n".repeat(50_000)].concat(), ""),
        (format!("OPTIONS {url} RTSP/1.0\r\nCSeq: -1\r\n\r\n").into_bytes(), "RTSP/1.0"),
        (format!("DESCRIBE {url}-that-nobody-fed RTSP/1.0\r\nCSeq: 1\r\n\r\n").into_bytes(), "404"),
        (format!("PLAY {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n").into_bytes(), "454"),
        (format!("PLAY {url} RTSP/1.0\r\nCSeq: 1\r\nSession: nobody\r\n\r\n").into_bytes(), "454"),
        (format!("SETUP {media} RTSP/1.0\r\nCSeq: 1\r\nTransport: carrier;pigeon\r\n\r\n").into_bytes(), "RTSP/1.0 4"),
        (format!("SETUP {media} RTSP/1.0\r\nCSeq: 1\r\n\r\n").into_bytes(), "RTSP/1.0 4"),
        (format!("SETUP {url}/stream=77 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n").into_bytes(), "RTSP/1.0 4"),
        (format!("ANNOUNCE {url} RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 5\r\n\r\nv=0\r\n").into_bytes(), "RTSP/1.0"),
        (format!("GET_PARAMETER {url} RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4000000000\r\n\r\n").into_bytes(), ""),
        (format!("FLY {url} RTSP/7.3\r\nCSeq: 1\r\n\r\n").into_bytes(), ""),
        ([b"$\0\xff\xff".to_vec(), vec![0; 65_535]].concat(), ""),
        (b"$\x01".to_vec(), ""),
    ];
    for (request, expected) in requests {
        let answer = say(rtsp, &request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        assert!(
            answer.contains(expected),
            "no {expected:?} in the answer to {shown:?}: {answer:?}"
        );
        serves_a_viewer(&trio.streamer).await;
    }
    // Sessions that are set up and left.
    for _ in 0..30 {
        let ask = format!(
            "DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\nSETUP {media} RTSP/1.0\r\nCSeq: 2\r\n\
             Transport: RTP/AVP;unicast;client_port=9-10\r\n\r\n"
        );
        say(rtsp, ask.as_bytes()).await;
    }
    trio.client.shows(30, PATIENCE).await;
    still_serves(&sandbox, &trio.streamer, "another").await;
}

/// What a peer sends without an end is not kept.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_request_is_not_kept() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    let memory = || {
        resources::sample(trio.streamer.process().pid().expect("it runs"))
            .expect("its figures")
            .rss_bytes
    };
    let before = memory();
    for port in ["rtsp", "http", "ops"] {
        let mut stream = TcpStream::connect(trio.streamer.addr(port))
            .await
            .expect("connected");
        let chunk = vec![b'a'; 1 << 20];
        for _ in 0..128 {
            let wrote =
                tokio::time::timeout(std::time::Duration::from_secs(2), stream.write_all(&chunk))
                    .await;
            if !matches!(wrote, Ok(Ok(()))) {
                break;
            }
        }
        let grown = memory().saturating_sub(before) >> 20;
        assert!(
            grown < 48,
            "{grown} MiB more after an endless request on the {port} port"
        );
        serves_a_viewer(&trio.streamer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_silent_connections() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    let ports = [
        (&trio.streamer, "http"),
        (&trio.streamer, "rtsp"),
        (&trio.streamer, "ops"),
        (&trio.renderer, "ops"),
        (&trio.client, "ops"),
    ];
    let mut silent = Vec::new();
    for (service, port) in ports {
        for _ in 0..200 {
            silent.push(
                TcpStream::connect(service.addr(port))
                    .await
                    .expect("connected"),
            );
        }
    }
    for service in [&trio.streamer, &trio.renderer, &trio.client] {
        let live = e2e::until("/live beside silent connections", PATIENCE, async || {
            service.ops().get("/live").await
        })
        .await;
        assert_eq!(live.0, 200, "{live:?}");
    }
    trio.client.shows(30, PATIENCE).await;
    serves_a_viewer(&trio.streamer).await;
    still_serves(&sandbox, &trio.streamer, "beside-silence").await;
    drop(silent);
    trio.client.shows(30, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ops_ports_refuse_what_they_do_not_have() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    for service in [&trio.streamer, &trio.renderer, &trio.client] {
        let ops = service.ops();
        for (path, status) in [
            ("/live", 200),
            ("/ready", 200),
            ("/metrics", 200),
            ("/trace?after=0&limit=10", 200),
        ] {
            assert_eq!(
                ops.get(path).await.map(|answer| answer.0),
                Some(status),
                "{path}"
            );
        }
        for (path, status) in [
            ("/nothing", 404),
            ("/trace?after=x", 400),
            ("/trace?limit=-1", 400),
        ] {
            let (code, body) = ops.get(path).await.expect("an answer");
            assert_eq!(code, status, "{path}: {body}");
        }
        let (_, page) = ops
            .get("/trace?after=0&limit=99999999999")
            .await
            .expect("an answer");
        assert!(page.len() < 16 << 20, "a page has an end");
    }
}
