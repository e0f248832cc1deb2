//! Bodies that are no feed.

use e2e::{Sandbox, Service, run};
use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tools::{PATIENCE, Trio, still_serves, text};

const RTP: &str =
    "application/x-rtp-stream; media=video; clock-rate=90000; encoding-name=H264; payload=96";

/// The status, and the whole problem as a text.
async fn put(
    streamer: &Service,
    name: &str,
    kind: Option<&str>,
    body: Vec<u8>,
) -> (StatusCode, String) {
    let request = reqwest::Client::new()
        .put(streamer.feed_url(name))
        .body(body);
    let request = match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

fn assert_says(answer: &(StatusCode, String), status: u16, words: &[&str]) {
    assert_eq!(answer.0.as_u16(), status, "{answer:?}");
    let problem: serde_json::Value =
        serde_json::from_str(&answer.1).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    for field in ["title", "detail", "remedy"] {
        assert!(
            problem[field].as_str().is_some_and(|text| text.len() > 5),
            "{field} of {problem}"
        );
    }
    for word in words {
        assert!(answer.1.contains(word), "no {word:?} in {problem}");
    }
}

fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect()
}

fn rtp_packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0x60];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x41, 1, 2, 3]);
    packet
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len()).expect("short");
    [&length.to_be_bytes()[..], packet].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_refused_and_a_feed_beside_it_goes_on() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &[], &[]).await;
    let streamer = &trio.streamer;
    let cut = [framed(&rtp_packet(1)), vec![0, 100, 0x80, 0x60, 1]].concat();
    assert_says(&put(streamer, "a", Some(RTP), cut).await, 400, &["middle"]);
    assert_says(
        &put(streamer, "a", Some(RTP), framed(&noise(300))).await,
        400,
        &["RFC 4571"],
    );
    assert_says(
        &put(streamer, "a", Some("video/mp2t"), noise(5000)).await,
        400,
        &["47"],
    );
    assert_says(
        &put(streamer, "a", None, noise(5000)).await,
        415,
        &["MPEG-TS"],
    );
    assert_says(&put(streamer, "a", None, Vec::new()).await, 415, &["none"]);
    assert_says(
        &put(streamer, "a", Some("text/html"), b"<p>".to_vec()).await,
        415,
        &["text/html"],
    );
    let h265 = RTP.replace("H264", "H265");
    assert_says(
        &put(streamer, "a", Some(&h265), framed(&rtp_packet(1))).await,
        415,
        &["H265", "H264"],
    );
    assert_says(
        &put(streamer, &"n".repeat(65), Some(RTP), Vec::new()).await,
        400,
        &["64"],
    );
    assert_says(
        &put(streamer, "a%20b", Some(RTP), Vec::new()).await,
        400,
        &[],
    );
    let long = framed(&[&rtp_packet(1)[..], &vec![0; 60_000]].concat());
    assert_says(&put(streamer, "a", Some(RTP), long).await, 413, &[]);

    // A null packet is ignored (RFC 4571 section 2).
    let (status, _) = put(streamer, "null", Some(RTP), framed(b"")).await;
    assert_eq!(status, StatusCode::OK);

    trio.client.shows(30, PATIENCE).await;
    still_serves(&sandbox, streamer, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_codec_in_mpeg_ts() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let file = text(&sandbox.path("hevc.ts"));
    let make = [
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=640x360:rate=25:duration=2",
        "-pix_fmt",
        "yuv420p",
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none",
        "-f",
        "mpegts",
        &file,
    ];
    run("ffmpeg", &make, PATIENCE).await.well();
    let answer = put(
        &streamer,
        "hevc",
        Some("video/mp2t"),
        std::fs::read(&file).expect("the file"),
    )
    .await;
    assert_says(&answer, 415, &["265", "libx264"]);
    let refused = streamer
        .ops()
        .metric("xr_streamer_refused_feeds_total{reason=\"codec\"}")
        .await;
    assert_eq!(refused, Some(1.0));
    // The same from ffmpeg itself, which is told by the end of its connection.
    let url = streamer.feed_url("hevc");
    let push = [
        "-nostdin",
        "-v",
        "error",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
        &file,
        "-c",
        "copy",
        "-f",
        "mpegts",
        "-method",
        "PUT",
        &url,
    ];
    assert_ne!(
        run("ffmpeg", &push, PATIENCE).await.code,
        Some(0),
        "ffmpeg took the refusal for a success"
    );
    still_serves(&sandbox, &streamer, "hevc").await;
}

/// Sends the head of a chunked feed and some of its body, and goes away without a word.
async fn cut_off(streamer: &Service, name: &str, kind: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(streamer.addr("http"))
        .await
        .expect("connected");
    let head = format!(
        "PUT /feeds/{name} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    // The chunk promises more than comes.
    stream
        .write_all(format!("{:x}\r\n", body.len() + 1000).as_bytes())
        .await
        .expect("sent");
    stream.write_all(body).await.expect("sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_in_the_middle_of_a_packet() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let half = [framed(&rtp_packet(1)), vec![4, 0, 0x80]].concat();
    for round in 0..20 {
        cut_off(&streamer, "cut", RTP, &half[..half.len() - round % 3]).await;
        cut_off(
            &streamer,
            "cut-ts",
            "video/mp2t",
            &[&[0x47][..], &noise(300)].concat(),
        )
        .await;
    }
    still_serves(&sandbox, &streamer, "cut").await;
    still_serves(&sandbox, &streamer, "cut-ts").await;
}

/// Requests that are no HTTP, or never end.
#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    for port in ["http", "ops"] {
        let endless = [
            b"PUT /feeds/a HTTP/1.1\r\nx: ".to_vec(),
            vec![b'a'; 4 << 20],
        ]
        .concat();
        let many = [
            b"PUT /feeds/a HTTP/1.1\r\n".to_vec(),
            b"x: y\r\n".repeat(100_000),
        ]
        .concat();
        for sent in [
            endless,
            many,
            noise(100_000),
            b"GET\0/ HTTP/9\r\n\r\n".to_vec(),
        ] {
            let mut stream = TcpStream::connect(streamer.addr(port))
                .await
                .expect("connected");
            // The answer or the end may come before everything is sent.
            let _ = stream.write_all(&sent).await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
                .await
                .expect("it is ended");
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{answer}"
            );
        }
    }
    still_serves(&sandbox, &streamer, "a").await;
}
