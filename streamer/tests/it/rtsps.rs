//! Viewers over TLS.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use service::tls::CaArgs;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use crate::encrypted::certify;
use crate::feeding::Feed;
use crate::relaying::SLOW_MS;
use crate::server::{ENDED_WITHIN, PATIENCE, Streamer};
use crate::speaking::Rtsp;
use crate::surviving::{TCP, UDP, connect_from, wait_viewable};

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// A streamer with RTSP over TLS, and what its peers believe.
pub(crate) struct Secure {
    pub(crate) streamer: Streamer,
    pub(crate) rtsps: SocketAddr,
    config: Arc<ClientConfig>,
    folder: TempDir,
}

impl Secure {
    pub(crate) fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let file = |name: &str| folder.path().join(name).display().to_string();
        let (certificate, key) = (file("tls.crt"), file("tls.key"));
        let mut all = vec!["--rtsps", "127.0.0.1:0"];
        all.extend(["--tls-cert", &certificate, "--tls-key", &key]);
        all.extend(args);
        let mut streamer = Streamer::start(&all);
        let config = believing(&folder.path().join("ca.crt"));
        // Feeds come over HTTPS, of which the other tests' ones need not know.
        streamer.http = bridge(streamer.http, Arc::clone(&config));
        Self {
            rtsps: streamer.ready["rtsps"].as_str().unwrap().parse().unwrap(),
            streamer,
            config,
            folder,
        }
    }

    /// TLS over a connection that is there.
    fn over(&self, stream: TcpStream) -> Encrypted {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = IpAddr::from([127, 0, 0, 1]).into();
        let session = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        StreamOwned::new(session, stream)
    }

    /// A viewer whose connection comes from `host`.
    pub(crate) fn viewer(&self, host: [u8; 4]) -> Rtsp<Encrypted> {
        let stream = self.over(connect_from(host, self.rtsps));
        Rtsp::speaking(stream, self.rtsps)
    }

    fn dropped(&self, reason: &str) -> u64 {
        let line = format!("xr_streamer_dropped_connections_total{{reason=\"{reason}\"}}");
        self.streamer.metric(&line)
    }

    /// A peer may see the end of its connection before it is counted.
    fn wait_dropped(&self, reason: &str, count: u64) {
        self.streamer
            .wait("it is counted", |_| self.dropped(reason) == count);
    }

    pub(crate) fn wait_alone(&self) {
        self.streamer.wait("no connection is open", |streamer| {
            streamer.metric("xr_streamer_rtsp_connections") == 0
        });
    }
}

const HERE: [u8; 4] = [127, 0, 0, 1];

fn believing(ca: &Path) -> Arc<ClientConfig> {
    let ca = CaArgs {
        tls_ca: Some(ca.to_owned()),
    };
    ca.client("https").unwrap().unwrap()
}

/// An address at which `https` is reached without TLS, for as long as the tests run.
fn bridge(https: SocketAddr, config: Arc<ClientConfig>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let connector = TlsConnector::from(config);
    let copy = async move {
        let listener = TcpListener::from_std(listener).unwrap();
        while let Ok((mut plain, _)) = listener.accept().await {
            let connector = connector.clone();
            tokio::spawn(async move {
                let stream = tokio::net::TcpStream::connect(https).await?;
                let mut encrypted = connector.connect(https.ip().into(), stream).await?;
                tokio::io::copy_bidirectional(&mut plain, &mut encrypted).await
            });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    std::thread::spawn(move || runtime.block_on(copy));
    address
}

#[test]
fn viewers_over_tls_get_frames() {
    let secure = Secure::start(&[]);
    let _feed = Feed::start(secure.streamer.http, "room", (640, 360), 30, 1000);
    wait_viewable(&secure.streamer);
    let mut viewer = secure.viewer(HERE);
    let described = viewer.ask("DESCRIBE", "room", &[]);
    assert!(described.starts_with("RTSP/1.0 200"), "{described}");
    viewer.skip_body(&described);
    viewer.play("room", TCP);
    let ssrc = viewer.next_ssrc();
    for _ in 0..60 {
        assert_eq!(viewer.next_ssrc(), ssrc);
    }
    let playing = "xr_streamer_viewers{transport=\"tcp\"}";
    assert_eq!(secure.streamer.metric(playing), 1);
    drop(viewer);
    secure.wait_alone();
    assert_eq!(secure.streamer.metric(playing), 0);

    let url = format!("rtsps://{}/room", secure.rtsps);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i", &url])
        .args(["-frames:v", "20", "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    secure.wait_alone();
}

#[test]
fn a_renewed_certificate_is_shown_over_rtsp_too() {
    let mut secure = Secure::start(&[]);
    let mut before = secure.viewer(HERE);
    let answer = before.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    certify(secure.folder.path());
    secure.config = believing(&secure.folder.path().join("ca.crt"));
    secure.streamer.wait("another authority's is shown", |_| {
        let mut next = secure.over(TcpStream::connect(secure.rtsps).unwrap());
        next.conn.complete_io(&mut next.sock).is_ok()
    });
    let answer = before.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
}

/// Packets on UDP could be read by whoever is on the way.
#[test]
fn over_tls_nothing_is_set_up_in_the_clear() {
    let secure = Secure::start(&[]);
    let _feed = Feed::start(secure.streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&secure.streamer);
    let mut viewer = secure.viewer(HERE);
    for transport in [UDP, &format!("{UDP},{TCP}"), "RTP/AVP;multicast"] {
        let refused = viewer.setup("room", transport, &[]);
        assert!(refused.starts_with("RTSP/1.0 461"), "{refused}");
    }
    // Players that are told so ask for this next, on the same connection.
    viewer.play("room", TCP);
    viewer.next_ssrc();
    // The RTSP server takes the first offer.
    let both = secure
        .viewer(HERE)
        .setup("room", &format!("{TCP},{UDP}"), &[]);
    assert!(both.contains("Transport: RTP/AVP/TCP;"), "{both}");
    let mut plain = Rtsp::connect(secure.streamer.rtsp);
    plain.play("room", UDP);
}

#[test]
fn what_a_port_does_not_speak_is_ended_at_once() {
    let secure = Secure::start(&[]);
    let mut plain = Rtsp::connect(secure.rtsps);
    let refused = plain.ask("OPTIONS", "room", &[]);
    assert!(refused.starts_with("RTSP/1.0 400"), "{refused}");
    assert_eq!(plain.head(), "");
    secure.wait_dropped("handshake", 1);

    let mut encrypted = secure.over(TcpStream::connect(secure.streamer.rtsp).unwrap());
    let failed = encrypted.write_all(b"OPTIONS rtsp://x/ RTSP/1.0\r\n\r\n");
    let why = failed.unwrap_err();
    assert_ne!(why.kind(), ErrorKind::WouldBlock, "{why}");
    secure.wait_dropped("nonsense", 1);

    let mut web = secure.over(TcpStream::connect(secure.rtsps).unwrap());
    web.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    web.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("RTSP/1.0 400"), "{answer}");
    secure.wait_dropped("nonsense", 2);
    assert_eq!(secure.dropped("silent"), 0, "nobody was waited for");
    secure.wait_alone();
}

/// Before the handshake, after it, and within a request.
#[test]
fn silent_peers_of_tls_are_ended() {
    let secure = Secure::start(&[]);
    let mut unshaken = TcpStream::connect(secure.rtsps).unwrap();
    secure.streamer.wait("it counts at once", |streamer| {
        streamer.metric("xr_streamer_rtsp_connections") == 1
    });
    let mut shaken = secure.over(TcpStream::connect(secure.rtsps).unwrap());
    shaken.conn.complete_io(&mut shaken.sock).unwrap();
    let mut halfway = secure.over(TcpStream::connect(secure.rtsps).unwrap());
    halfway
        .write_all(b"OPTIONS rtsp://x/ RTSP/1.0\r\n")
        .unwrap();
    secure
        .streamer
        .wait("all are dropped", |_| secure.dropped("silent") == 3);
    assert_eq!(unshaken.read(&mut [0]).unwrap(), 0);
    for stream in [&mut shaken, &mut halfway] {
        // Some end with a word of TLS, some without.
        let ended = stream.read(&mut [0]);
        assert!(ended.map_or(true, |length| length == 0));
    }
    secure.wait_alone();
}

/// What it does not take is seen where the RTSP server writes, and its connection ends on both sides.
#[test]
fn a_deaf_viewer_over_tls_is_dropped() {
    let secure = Secure::start(&["--slow-ms", SLOW_MS]);
    let _feed = Feed::start(secure.streamer.http, "room", (1280, 720), 30, 8000);
    wait_viewable(&secure.streamer);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.connect(&secure.rtsps.into()).unwrap();
    let stream = secure.over(socket.into());
    let mut deaf = Rtsp::speaking(stream, secure.rtsps);
    deaf.play("room", TCP);
    let mut viewer = secure.viewer(HERE);
    viewer.play("room", TCP);
    let taken = Arc::new(AtomicUsize::new(0));
    let takes = Arc::clone(&taken);
    std::thread::spawn(move || {
        let mut piece = [0; 16 * 1024];
        while let Ok(length @ 1..) = viewer.stream.read(&mut piece) {
            takes.fetch_add(length, Ordering::Relaxed);
        }
    });
    let streamer = &secure.streamer;
    streamer.wait("the deaf viewer is dropped", |_| {
        secure.dropped("slow") == 1
    });
    streamer.wait("its place is free although it takes nothing", |streamer| {
        streamer.metric("xr_streamer_rtsp_connections") == 1
    });
    let before = taken.load(Ordering::Relaxed);
    streamer.wait("the other one goes on", |_| {
        taken.load(Ordering::Relaxed) > before + (1 << 20)
    });
    assert_eq!(secure.dropped("slow"), 1);
    let mut rest = Vec::new();
    let ended = deaf.stream.read_to_end(&mut rest);
    assert!(ended.is_err_and(|error| error.kind() != ErrorKind::WouldBlock));
}

/// The RTSP server has all of them from this machine's loopback.
#[test]
fn limits_of_a_host_are_the_peers_own() {
    let secure = Secure::start(&["--max-viewers-per-peer", "1"]);
    let _feed = Feed::start(secure.streamer.http, "room", (320, 180), 30, 500);
    wait_viewable(&secure.streamer);
    let (one, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    let mut first = secure.viewer(one);
    first.play("room", TCP);
    let refused = secure.viewer(one).setup("room", TCP, &[]);
    assert!(refused.starts_with("RTSP/1.0 503"), "{refused}");
    let plain = connect_from(one, secure.streamer.rtsp);
    let refused = Rtsp::over(plain).setup("room", TCP, &[]);
    assert!(refused.starts_with("RTSP/1.0 503"), "{refused}");
    let mut second = secure.viewer(other);
    second.play("room", TCP);
    Rtsp::connect(secure.streamer.rtsp).play("room", TCP);
    first.next_ssrc();
    second.next_ssrc();
}

/// Peers without a handshake make room first, then those of the host that has most connections.
#[test]
fn a_crowd_at_the_port_for_tls_keeps_nobody_out() {
    let secure = Secure::start(&["--max-connections", "8"]);
    let mut honest = secure.viewer(HERE);
    let answer = honest.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let silent: Vec<_> = (0..24)
        .map(|_| TcpStream::connect(secure.rtsps).unwrap())
        .collect();
    let crowd: Vec<_> = (0..24)
        .map(|_| {
            let mut one = secure.viewer([127, 0, 0, 2]);
            let answer = one.ask("OPTIONS", "room", &[]);
            assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
            one
        })
        .collect();
    let answer = Rtsp::connect(secure.streamer.rtsp).ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    let answer = honest.ask("OPTIONS", "room", &[]);
    assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    drop((silent, crowd));
}

/// They begin many and end none: their host waits behind its own, and nobody else does.
#[test]
fn handshakes_without_an_end_keep_only_their_own_host_waiting() {
    let secure = Secure::start(&[]);
    let (one, other) = ([127, 0, 0, 2], [127, 0, 0, 3]);
    // The head of a record with the beginning of a ClientHello, of which there is no more.
    let begun: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = connect_from(one, secure.rtsps);
            stream.write_all(&[22, 3, 1, 1, 0, 1]).unwrap();
            stream
        })
        .collect();
    secure.streamer.wait("all have arrived", |streamer| {
        streamer.metric("xr_streamer_rtsp_connections") == 40
    });
    let asks = |host| {
        let answer = secure.viewer(host).ask("OPTIONS", "room", &[]);
        assert!(answer.starts_with("RTSP/1.0 200"), "{answer}");
    };
    let mut same = secure.over(connect_from(one, secure.rtsps));
    same.sock.set_read_timeout(Some(PATIENCE)).unwrap();
    let same = std::thread::spawn(move || same.conn.complete_io(&mut same.sock));
    asks(other);
    assert!(
        !same.is_finished(),
        "it has no turn before its own others have ended, which takes five seconds"
    );
    drop(begun);
    // By now it may have waited too long.
    let _ = same.join().unwrap();
    secure.wait_alone();
    asks(one);
}

#[test]
fn it_ends_in_time_although_peers_over_tls_do_not() {
    let mut secure = Secure::start(&["--slow-ms", "60000"]);
    let feed = Feed::start(secure.streamer.http, "room", (640, 360), 30, 1000);
    wait_viewable(&secure.streamer);
    let unshaken = TcpStream::connect(secure.rtsps).unwrap();
    let mut shaken = secure.over(TcpStream::connect(secure.rtsps).unwrap());
    shaken.conn.complete_io(&mut shaken.sock).unwrap();
    let viewers = [(); 8].map(|()| {
        let mut viewer = secure.viewer(HERE);
        viewer.play("room", TCP);
        viewer
    });
    let (took, code) = secure.streamer.terminate();
    assert_eq!(code, Some(0));
    assert!(took < ENDED_WITHIN, "{took:?}");
    drop((unshaken, shaken, viewers, feed));
}
