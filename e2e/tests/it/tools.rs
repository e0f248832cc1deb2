//! What several modules need: patience, other people's programs as feeds and viewers, and how far those have come.

use std::path::Path;
use std::time::Duration;

use e2e::{Sandbox, Service, until, video};
use testbed::Process;

/// Longer than anything awaited here takes on a busy machine; a bound of speed stands in no test.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The arguments by which an unmodified ffmpeg feeds the real video as MPEG-TS.
pub(crate) fn ffmpeg_feed(url: &str, method: &str, codec: &[&str]) -> Vec<String> {
    let video = video().display().to_string();
    let mut args = vec![
        "-nostdin",
        "-loglevel",
        "warning",
        "-re",
        "-stream_loop",
        "-1",
        "-i",
        &video,
        "-an",
    ];
    args.extend(["-vf", "scale=640:360,fps=25"]);
    args.extend(codec);
    args.extend(["-f", "mpegts", "-method", method, url]);
    args.into_iter().map(str::to_owned).collect()
}

/// libx264 as ffmpeg's users set it for live video.
pub(crate) const X264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-g",
    "25",
];

/// Starts a program with arguments that it owns.
pub(crate) fn spawn(sandbox: &Sandbox, role: &str, program: &str, args: &[String]) -> Process {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    sandbox.spawn(role, program, &args)
}

/// A viewer of others, which leaves what it decoded in a file that grows.
pub(crate) struct Foreign {
    name: String,
    process: Process,
    file: std::path::PathBuf,
}

/// A decoded picture in such a file: grey, 16 by 16.
const PICTURE_BYTES: u64 = 256;

impl Foreign {
    /// An unmodified ffmpeg.
    pub(crate) fn ffmpeg(sandbox: &Sandbox, url: &str, transport: &str) -> Self {
        let name = format!("ffmpeg-{transport}");
        let file = sandbox.path(&name);
        let out = file.display().to_string();
        let args = [
            "-nostdin",
            "-loglevel",
            "warning",
            "-rtsp_transport",
            transport,
            "-i",
            url,
            "-an",
            "-vsync",
            "passthrough",
            "-vf",
            "scale=16:16,format=gray",
            "-f",
            "rawvideo",
            "-flush_packets",
            "1",
            &out,
        ];
        Self {
            process: sandbox.spawn(&name, "ffmpeg", &args),
            name,
            file,
        }
    }

    /// GStreamer's rtspsrc.
    pub(crate) fn gstreamer(sandbox: &Sandbox, url: &str, transport: &str) -> Self {
        let name = format!("rtspsrc-{transport}");
        let file = sandbox.path(&name);
        let (location, protocols) = (format!("location={url}"), format!("protocols={transport}"));
        let out = format!("location={}", file.display());
        let args = [
            "-q",
            "rtspsrc",
            &location,
            &protocols,
            "latency=100",
            "!",
            "rtph264depay",
            "!",
            "avdec_h264",
            "!",
            "videoscale",
            "!",
            "videoconvert",
            "!",
            "video/x-raw,format=GRAY8,width=16,height=16",
            "!",
            "filesink",
            "buffer-mode=unbuffered",
            "sync=false",
            &out,
        ];
        Self {
            process: sandbox.spawn(&name, "gst-launch-1.0", &args),
            name,
            file,
        }
    }

    fn pictures(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |file| file.len() / PICTURE_BYTES)
    }

    /// Waits for `more` pictures more.
    pub(crate) async fn plays(&self, more: u64) {
        let goal = self.pictures() + more;
        until(
            &format!("{more} more pictures of {} than {}", self.name, goal - more),
            PATIENCE,
            async || {
                let alive = self.process.exit().is_none();
                assert!(
                    alive,
                    "{} ended ({:?}):\n{}",
                    self.name,
                    self.process.exit(),
                    self.process.log_tail()
                );
                (self.pictures() >= goal).then_some(())
            },
        )
        .await;
    }
}

/// A streamer, a renderer and a client that plays it.
pub(crate) struct Trio {
    pub(crate) streamer: Service,
    pub(crate) renderer: Service,
    pub(crate) client: Service,
}

impl Trio {
    /// Starts them and waits until frames are shown.
    pub(crate) async fn playing(sandbox: &Sandbox, render: &[&str], play: &[&str]) -> Self {
        let streamer = sandbox.streamer(&[]).await;
        let renderer = sandbox.renderer(&streamer.feed_url("feed"), render).await;
        let client = sandbox.client(&streamer.rtsp_url("feed"), play).await;
        client.shows(10, PATIENCE).await;
        Self {
            streamer,
            renderer,
            client,
        }
    }
}

/// A new stream through this streamer reaches a player: whatever came before has not broken it.
pub(crate) async fn still_serves(sandbox: &Sandbox, streamer: &Service, name: &str) {
    let renderer = sandbox.renderer(&streamer.feed_url(name), &[]).await;
    let client = sandbox.client(&streamer.rtsp_url(name), &[]).await;
    client.shows(15, PATIENCE).await;
    for service in [client, renderer] {
        service.terminate().await;
    }
}

/// Every frame that was sent came to this client, and could be read: it misses none but those that it let go because it stood still.
pub(crate) async fn assert_whole(client: &Service) {
    let ops = client.ops();
    let count = async |outcome: &str| {
        let metric = format!("xr_client_frames_total{{outcome=\"{outcome}\"}}");
        ops.metric(&metric).await.expect("it is counted")
    };
    let unread = count("unread").await;
    assert!(unread < 1.0, "{unread} pictures that could not be read");
    // Those that are let go are counted first.
    let missing = count("missing").await;
    let behind = count("behind").await;
    assert!(missing <= behind, "{missing} missing, {behind} let go");
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
