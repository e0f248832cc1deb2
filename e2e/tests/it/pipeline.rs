//! A real video through renderer, streamer and client: every frame, every point, several at once, and who comes late.

use e2e::{Crossings, Journal, Sandbox, Transport, Viewer, rows, until, video};
use timeline::frames_csv::{FrameRow, Outcome};
use timeline::{Point, Stage};

use crate::tools::{PATIENCE, Trio, text};

/// Adds what the services before the client saw.
fn join(row: &mut FrameRow, traces: &[&Crossings]) {
    for point in [Point::Encoded, Point::Ingested, Point::Relayed] {
        let at = traces
            .iter()
            .find_map(|trace| trace.get(&(row.rtp_timestamp, point)));
        row.points[point as usize] = at.copied();
    }
}

async fn every_frame_passes_every_point(
    size: &str,
    fps: &str,
    bitrate: &str,
    transport: &str,
    frames: u64,
) {
    let sandbox = Sandbox::new();
    let file = sandbox.path("frames.csv");
    let source = format!("file:{}", text(&video()));
    let streamer = sandbox.streamer(&[]).await;
    let client = sandbox
        .client(
            &streamer.rtsp_url("feed"),
            &["--json", "--frames", &text(&file), "--transport", transport],
        )
        .await;
    let render = [
        "--source",
        &source,
        "--size",
        size,
        "--fps",
        fps,
        "--bitrate",
        bitrate,
    ];
    let renderer = sandbox.renderer(&streamer.feed_url("feed"), &render).await;
    let journals = [Journal::of(renderer.ops()), Journal::of(streamer.ops())];
    client.shows(frames, PATIENCE).await;
    let ended = client.terminate().await;
    let [sending, relaying] = journals;
    let (made, relayed) = (sending.finish().await, relaying.finish().await);

    let mut rows = rows(&file);
    let count = rows.len();
    assert!(count as u64 >= frames, "{count} rows");
    let mut incomplete = 0;
    for row in &mut rows {
        assert_eq!(row.outcome, Outcome::Shown, "{row:?}");
        join(row, &[&made, &relayed]);
        if !row.has_every_point() {
            incomplete += 1;
            continue;
        }
        let stages = Stage::ALL.map(|stage| row.stage_us(stage).expect("both ends are known"));
        assert_eq!(Some(stages.iter().sum()), row.latency_us(), "{row:?}");
        assert!(
            stages.iter().all(|stage| *stage >= 0),
            "a frame passes its points in order: {stages:?} of {row:?}"
        );
    }
    assert!(
        incomplete * 1000 <= count,
        "{incomplete} of {count} frames lack a point"
    );

    // What was generated between the first and the last frame shown was shown: nothing is lost on loopback.
    let ends = rows.iter().filter_map(|row| row.at(Point::Generated));
    let (first, last) = (ends.clone().min().expect("rows"), ends.max().expect("rows"));
    let sent = made
        .iter()
        .filter(|((_, point), at)| *point == Point::Generated && (first..=last).contains(at));
    let sent = sent.count();
    // What a client lets go that stood still, it says.
    let summary = ended.said.last().expect("a summary");
    let summary: serde_json::Value = serde_json::from_str(summary).expect("JSON");
    let behind = summary["frames"]["behind"].as_u64().expect("a count");
    let behind = usize::try_from(behind).expect("few");
    assert!(
        sent >= count && (sent - count).saturating_sub(behind) * 100 <= sent,
        "{count} shown of {sent} generated, {behind} let go"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_video_at_360p25_over_udp() {
    every_frame_passes_every_point("640x360", "25", "2M", "udp", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_video_at_720p30_over_tcp() {
    every_frame_passes_every_point("1280x720", "30", "6M", "tcp", 150).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_feeds_do_not_mix() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let mut sides = Vec::new();
    for name in ["left", "right"] {
        let file = sandbox.path(name);
        let renderer = sandbox.renderer(&streamer.feed_url(name), &[]).await;
        let journal = Journal::of(renderer.ops());
        let client = sandbox
            .client(&streamer.rtsp_url(name), &["--frames", &text(&file)])
            .await;
        sides.push((file, renderer, journal, client));
    }
    for (_, _, _, client) in &sides {
        client.shows(60, PATIENCE).await;
    }
    // Two frames may be of the same tick; that of the other feed is in the other journal only.
    for (file, _renderer, journal, client) in sides {
        client.terminate().await;
        let own = journal.finish().await;
        for row in rows(&file) {
            assert!(
                own.contains_key(&(row.rtp_timestamp, Point::Generated)),
                "{row:?} is of the other feed"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_sees_a_picture_although_key_frames_are_rare() {
    let sandbox = Sandbox::shared();
    let trio = Trio::playing(&sandbox, &["--gop", "600"], &[]).await;
    let url = trio.streamer.rtsp_url("feed");
    for join in 0..10 {
        let transport = if join % 2 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let viewer = Viewer::play(&url, transport).await.expect("a session");
        let patience = std::time::Duration::from_secs(9);
        assert!(
            viewer.first_picture(patience).await.is_some(),
            "join {join}: no picture within {patience:?} of PLAY"
        );
    }
    // Others' key frames did not hurt who was there before.
    trio.client.shows(30, PATIENCE).await;
    let unread = trio
        .client
        .ops()
        .metric("xr_client_frames_total{outcome=\"unread\"}")
        .await;
    assert_eq!(unread, Some(0.0), "pictures that could not be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_refused_unless_the_token_is_the_same() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let token = sandbox.path("token");
    std::fs::write(&token, "the-same-token-as-before\n").expect("a file");
    let _renderer = sandbox
        .renderer(&streamer.feed_url("feed"), &["--token-file", &text(&token)])
        .await;
    let client = sandbox.client(&streamer.rtsp_url("feed"), &[]).await;
    client.shows(10, PATIENCE).await;

    let http = reqwest::Client::new();
    let begin = |token: Option<&str>| {
        let type_ = "application/x-rtp-stream; media=video; clock-rate=90000; encoding-name=H264; payload=96";
        let put = http
            .put(streamer.feed_url("feed"))
            .header("content-type", type_)
            .body(Vec::new());
        match token {
            Some(token) => put.bearer_auth(token),
            None => put,
        }
    };
    for wrong in [None, Some("another")] {
        let answer = begin(wrong).send().await.expect("an answer");
        assert_eq!(answer.status(), 409, "token {wrong:?}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem: serde_json::Value = answer.json().await.expect("JSON");
        for field in ["title", "detail", "remedy"] {
            assert!(
                problem[field].as_str().is_some_and(|text| !text.is_empty()),
                "{field} in {problem}"
            );
        }
    }
    // Refusals did not touch the feed that has the name.
    client.shows(30, PATIENCE).await;

    let same = begin(Some("the-same-token-as-before"))
        .send()
        .await
        .expect("an answer");
    assert!(
        same.status().is_success(),
        "{} for the token that has the name",
        same.status()
    );
    // The renderer whose name was taken over comes back, and so does the picture.
    client.shows(30, PATIENCE).await;
    let feeds: serde_json::Value = until("the list of feeds", PATIENCE, async || {
        let url = format!("http://{}/feeds", streamer.addr("http"));
        http.get(url).send().await.ok()?.json().await.ok()
    })
    .await;
    assert_eq!(feeds.as_array().map(Vec::len), Some(1), "{feeds}");
    assert_eq!(feeds[0]["state"], "live", "{feeds}");
}
