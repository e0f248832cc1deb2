//! Unmodified programs of others at either end: ffmpeg as a renderer; ffprobe, ffmpeg, ffplay and rtspsrc as players.

use e2e::{Sandbox, Transport, Viewer, rows, run, until};
use timeline::frames_csv::Outcome;
use timeline::{Point, RtpTimestamp};

use crate::tools::{Foreign, PATIENCE, Trio, X264, ffmpeg_feed, spawn, text};

/// What ffprobe says of the first 60 packets of a stream: its key frame is among them, however it comes.
async fn probe(url: &str, transport: &str) -> String {
    let args = [
        "-v",
        "error",
        "-rtsp_transport",
        transport,
        "-select_streams",
        "v:0",
        "-read_intervals",
        "%+#60",
        "-show_entries",
        "stream=codec_name,width,height:frame=pict_type",
        "-of",
        "flat",
        url,
    ];
    run("ffprobe", &args, PATIENCE).await.well()
}

fn assert_probed(said: &str) {
    for wanted in [
        "codec_name=\"h264\"",
        "width=640",
        "height=360",
        "frames.frame.19.pict_type",
    ] {
        assert!(said.contains(wanted), "no {wanted} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_is_a_renderer_by_put_and_by_post() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    for method in ["PUT", "POST"] {
        let args = ffmpeg_feed(&streamer.feed_url(method), method, X264);
        let renderer = spawn(&sandbox, method, "ffmpeg", &args);
        let viewer = until("the stream of ffmpeg", PATIENCE, async || {
            assert!(renderer.exit().is_none(), "{}", renderer.log_tail());
            Viewer::play(&streamer.rtsp_url(method), Transport::Tcp)
                .await
                .ok()
        })
        .await;
        assert!(
            viewer.first_picture(PATIENCE).await.is_some(),
            "no picture by {method}"
        );
        assert_probed(&probe(&streamer.rtsp_url(method), "udp").await);
        renderer.interrupt(PATIENCE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_plays_what_ffmpeg_renders_and_says_that_it_has_no_stamps() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let renderer = spawn(
        &sandbox,
        "ffmpeg",
        "ffmpeg",
        &ffmpeg_feed(&streamer.feed_url("film"), "PUT", X264),
    );
    let client = sandbox.client(&streamer.rtsp_url("film"), &[]).await;
    until("pictures without stamps", PATIENCE, async || {
        assert!(renderer.exit().is_none(), "{}", renderer.log_tail());
        let unread = client
            .ops()
            .metric("xr_client_frames_total{outcome=\"unread\"}")
            .await?;
        (unread >= 25.0).then_some(())
    })
    .await;
    assert_eq!(
        client.shown().await,
        Some(0),
        "nothing is read where nothing was drawn"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ffprobe_and_rtspsrc_and_ffmpeg_play_ours_over_udp_and_tcp() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let _renderer = sandbox.renderer(&streamer.feed_url("feed"), &[]).await;
    let url = streamer.rtsp_url("feed");
    let viewer = until("the stream", PATIENCE, async || {
        Viewer::play(&url, Transport::Udp).await.ok()
    })
    .await;
    assert!(viewer.first_picture(PATIENCE).await.is_some(), "no picture");
    for transport in ["udp", "tcp"] {
        assert_probed(&probe(&url, transport).await);
        Foreign::gstreamer(&sandbox, &url, transport)
            .plays(20)
            .await;
        Foreign::ffmpeg(&sandbox, &url, transport).plays(20).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ffplay_plays_ours() {
    let sandbox = Sandbox::shared();
    let streamer = sandbox.streamer(&[]).await;
    let _renderer = sandbox.renderer(&streamer.feed_url("feed"), &[]).await;
    let url = streamer.rtsp_url("feed");
    until("the stream", PATIENCE, async || {
        Viewer::play(&url, Transport::Tcp).await.ok()
    })
    .await;
    let args = [
        "-hide_banner",
        "-loglevel",
        "info",
        "-stats",
        "-fflags",
        "nobuffer",
        "-rtsp_transport",
        "udp",
        &url,
    ];
    let ffplay = sandbox.spawn_in(
        "ffplay",
        "ffplay",
        &args,
        &[("SDL_VIDEODRIVER", "dummy"), ("SDL_AUDIODRIVER", "dummy")],
    );
    let log = ffplay.spec().log.clone();
    // ffplay's own line of status begins with its clock, which stands at nan until the first picture is shown.
    until("a second of pictures in ffplay", PATIENCE, async || {
        assert!(ffplay.exit().is_none(), "{}", ffplay.log_tail());
        let said = String::from_utf8_lossy(&std::fs::read(&log).ok()?).into_owned();
        let clocks = said
            .split("M-V:")
            .filter_map(|part| part.split_whitespace().last()?.parse::<f64>().ok());
        let clocks: Vec<f64> = clocks.filter(|clock| clock.is_finite()).collect();
        (clocks.last()? - clocks.first()? >= 1.0).then_some(())
    })
    .await;
}

/// The key is computed from the stamp at one end and read from the packets at the other.
#[tokio::test(flavor = "multi_thread")]
async fn rtp_timestamps_pass_untouched() {
    let sandbox = Sandbox::shared();
    for transport in ["udp", "tcp"] {
        let file = sandbox.path(&format!("{transport}.csv"));
        let trio = Trio::playing(
            &sandbox,
            &[],
            &["--transport", transport, "--frames", &text(&file)],
        )
        .await;
        trio.client.shows(60, PATIENCE).await;
        trio.client.terminate().await;
        let rows = rows(&file);
        assert!(rows.len() >= 70, "{} rows over {transport}", rows.len());
        for row in rows {
            assert_eq!(row.outcome, Outcome::Shown, "{row:?}");
            let generated = row
                .at(Point::Generated)
                .expect("a shown frame has been read");
            assert_eq!(
                row.rtp_timestamp,
                RtpTimestamp::from_generated(generated),
                "{row:?} over {transport}"
            );
        }
    }
}
