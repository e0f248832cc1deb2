//! Viewers that are asked for a password.

use std::io::{Read as _, Seek as _};
use std::process::Command;

use gstreamer::glib::{self, ChecksumType};
use tempfile::TempDir;

use crate::feeding::Feed;
use crate::rtsps::Secure;
use crate::server::Streamer;
use crate::speaking::{Rtsp, session};
use crate::surviving::{TCP, UDP};

const VIEWERS: &str = "# who may view\nann:swordfish\n\nbob:a:b\n";

const ANN: (&str, &str) = ("ann", "swordfish");

/// A file of viewers, and its path.
fn viewers(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("viewers");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

fn start() -> (Streamer, TempDir) {
    let (folder, path) = viewers(VIEWERS);
    (Streamer::start(&["--viewers-file", &path]), folder)
}

fn md5(text: &str) -> String {
    let sum = glib::compute_checksum_for_string(ChecksumType::Md5, text);
    sum.unwrap().to_string()
}

/// A connection whose peer shows a name and a password.
struct Guest {
    rtsp: Rtsp,
    nonce: String,
    name: &'static str,
    password: &'static str,
}

impl Guest {
    fn connect(streamer: &Streamer, (name, password): (&'static str, &'static str)) -> Self {
        let mut rtsp = Rtsp::connect(streamer.rtsp);
        let challenge = rtsp.ask("DESCRIBE", "room", &[]);
        let nonce = nonce(&challenge);
        Self {
            rtsp,
            nonce,
            name,
            password,
        }
    }

    /// What the header of a request says, by RFC 2069, which is what RFC 2617 has without `qop`.
    fn shows(&self, method: &str, path: &str) -> String {
        let (name, nonce, uri) = (self.name, &self.nonce, self.rtsp.uri(path));
        let secret = md5(&format!("{name}:xr-streamer:{}", self.password));
        let request = md5(&format!("{method}:{uri}"));
        let response = md5(&format!("{secret}:{nonce}:{request}"));
        format!(
            "Authorization: Digest username=\"{name}\", realm=\"xr-streamer\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\""
        )
    }

    fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> String {
        let shown = self.shows(method, path);
        let mut all = vec![shown.as_str()];
        all.extend(headers);
        let head = self.rtsp.ask(method, path, &all);
        self.rtsp.skip_body(&head);
        head
    }

    fn setup(&mut self, transport: &str, more: &[&str]) -> String {
        let transport = format!("Transport: {transport}");
        let mut headers = vec![transport.as_str()];
        headers.extend(more);
        self.ask("SETUP", "room/stream=0", &headers)
    }

    fn play(&mut self, transport: &str) -> String {
        let session = session(&self.setup(transport, &[]));
        let plays = self.ask("PLAY", "room", &[&session]);
        assert!(plays.starts_with("RTSP/1.0 200"), "{plays}");
        session
    }
}

fn nonce(challenge: &str) -> String {
    assert!(challenge.starts_with("RTSP/1.0 401"), "{challenge}");
    let header = "WWW-Authenticate: Digest realm=\"xr-streamer\", nonce=\"";
    let (_, rest) = challenge.split_once(header).expect("a challenge");
    assert!(!challenge.contains("Basic"), "{challenge}");
    rest.split_once('"').unwrap().0.to_owned()
}

fn wait_viewable(streamer: &Streamer) {
    streamer.wait("the name can be viewed", |streamer| {
        let described = Guest::connect(streamer, ANN).ask("DESCRIBE", "room", &[]);
        described.starts_with("RTSP/1.0 200")
    });
}

fn denied(streamer: &Streamer, reason: &str) -> u64 {
    streamer.metric(&format!(
        "xr_streamer_denied_requests_total{{reason=\"{reason}\"}}"
    ))
}

#[test]
fn nobody_views_without_a_password() {
    let (streamer, _folder) = start();
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let before = denied(&streamer, "missing");
    let mut stranger = Rtsp::connect(streamer.rtsp);
    let options = stranger.ask("OPTIONS", "room", &[]);
    assert!(options.starts_with("RTSP/1.0 200"), "{options}");
    for method in ["DESCRIBE", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER"] {
        nonce(&stranger.ask(method, "room", &[]));
    }
    nonce(&stranger.setup("room", TCP, &[]));
    nonce(&stranger.setup("room", UDP, &[]));
    assert_eq!(denied(&streamer, "missing"), before + 7);

    let wrong_before = denied(&streamer, "wrong");
    let bob = ("bob", "a:b");
    for (name, password) in [("ann", "cod"), ("eve", "swordfish"), ("ann", "a:b")] {
        let mut guest = Guest::connect(&streamer, (name, password));
        nonce(&guest.setup(TCP, &[]));
    }
    let mut guest = Guest::connect(&streamer, bob);
    // Of a name that has the right password, but in the clear.
    let basic = "Authorization: Basic YW5uOnN3b3JkZmlzaA==";
    nonce(&guest.rtsp.ask("DESCRIBE", "room", &[basic]));
    // A challenge is the connection's own.
    let seen = Guest::connect(&streamer, bob).shows("DESCRIBE", "room");
    nonce(&guest.rtsp.ask("DESCRIBE", "room", &[&seen]));
    assert_eq!(denied(&streamer, "wrong"), wrong_before + 5);
    let described = guest.ask("DESCRIBE", "room", &[]);
    assert!(described.starts_with("RTSP/1.0 200"), "{described}");
}

#[test]
fn who_has_a_password_plays_and_may_do_no_more_than_others() {
    let (streamer, _folder) = start();
    let _feed = Feed::start(streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&streamer);
    let mut ann = Guest::connect(&streamer, ANN);
    let session = ann.play(TCP);
    let ssrc = ann.rtsp.next_ssrc();
    // Its own session does not stand for the password.
    nonce(&ann.rtsp.ask("TEARDOWN", "room", &[&session]));
    assert_eq!(ann.rtsp.next_ssrc(), ssrc);
    let again = ann.setup(UDP, &[&session]);
    assert!(again.starts_with("RTSP/1.0 455"), "{again}");
    let announced = ann.ask("ANNOUNCE", "room", &[]);
    assert!(announced.starts_with("RTSP/1.0 405"), "{announced}");

    let mut bob = Guest::connect(&streamer, ("bob", "a:b"));
    let foreign = bob.ask("TEARDOWN", "room", &[&session]);
    assert!(foreign.starts_with("RTSP/1.0 454"), "{foreign}");
    let misdirected = bob.setup("RTP/AVP;unicast;client_port=53-54", &[]);
    assert!(misdirected.starts_with("RTSP/1.0 461"), "{misdirected}");
    bob.play(UDP);
    let over = ann.ask("TEARDOWN", "room", &[&session]);
    assert!(over.starts_with("RTSP/1.0 200"), "{over}");
}

#[test]
fn a_connection_that_guesses_is_ended() {
    let mut log = tempfile::tempfile().unwrap();
    let (_folder, path) = viewers(VIEWERS);
    let args = ["--viewers-file", path.as_str()];
    let mut streamer = Streamer::start_with_log(&args, log.try_clone().unwrap().into());
    let mut eve = Guest::connect(&streamer, ("ann", "sardine"));
    let mut answers = (0..15).map(|_| eve.ask("DESCRIBE", "room", &[]));
    assert!(
        answers
            .by_ref()
            .take(14)
            .all(|answer| answer.starts_with("RTSP/1.0 401"))
    );
    let last = answers.next().unwrap();
    assert!(last.starts_with("RTSP/1.0 403"), "{last}");
    streamer.wait("the connection is dropped", |streamer| {
        streamer.metric("xr_streamer_dropped_connections_total{reason=\"denied\"}") == 1
    });
    assert_eq!(eve.rtsp.head(), "");
    let described = Guest::connect(&streamer, ANN).ask("DESCRIBE", "room", &[]);
    assert!(described.starts_with("RTSP/1.0 404"), "{described}");

    streamer.terminate();
    let mut said = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut said).unwrap();
    for secret in ["swordfish", "a:b", "sardine"] {
        assert!(!said.contains(secret), "{said}");
    }
}

/// Whether ffmpeg gets some frames, and what it said.
fn ffmpeg(url: &str) -> (bool, String) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-rtsp_transport", "tcp", "-i", url])
        .args(["-frames:v", "10", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

/// As addresses have it, with TLS and without.
#[test]
fn players_show_what_stands_in_their_address() {
    let (_folder, path) = viewers(VIEWERS);
    let secure = Secure::start(&["--viewers-file", &path]);
    let _feed = Feed::start(secure.streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&secure.streamer);
    for (scheme, address) in [("rtsp", secure.streamer.rtsp), ("rtsps", secure.rtsps)] {
        let url = |who: &str| format!("{scheme}://{who}{address}/room");
        let (played, said) = ffmpeg(&url("ann:swordfish@"));
        assert!(played, "{said}");
        for who in ["", "ann:cod@"] {
            let (played, said) = ffmpeg(&url(who));
            assert!(!played && said.contains("401"), "{said}");
        }
    }
    secure.wait_alone();
}

#[test]
fn files_that_name_nobody_are_refused_at_the_start() {
    let try_start = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xr-streamer"))
            .args(["--http", "127.0.0.1:0", "--rtsp", "127.0.0.1:0"])
            .args(["--ops", "127.0.0.1:0"])
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("--viewers-file (XR_VIEWERS_FILE)"), "{said}");
        assert!(!said.contains("swordfish"), "{said}");
        said
    };
    for (text, why) in [
        ("", "names no viewer"),
        ("ann:x\nswordfish\n", "line 2 has no colon"),
    ] {
        let (_folder, path) = viewers(text);
        let said = try_start(&["--viewers-file", &path]);
        assert!(said.contains(why) && said.contains(&path), "{said}");
        assert!(said.contains("NAME:PASSWORD for each viewer"), "{said}");
    }
    let (_folder, path) = viewers(VIEWERS);
    let said = try_start(&["--viewers-file", &path, "--quic", "127.0.0.1:0"]);
    assert!(said.contains("Leave out --quic"), "{said}");
    let missing = try_start(&["--viewers-file", "/nonexistent/viewers"]);
    assert!(missing.contains("No such file"), "{missing}");
}
