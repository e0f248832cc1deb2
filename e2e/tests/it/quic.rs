//! Streams over QUIC: between programs on loopback, and in a lab through the NodePort that RTP on UDP cannot come back from.

use std::time::{Duration, UNIX_EPOCH};

use e2e::{Sandbox, Service, binary, run, until};
use roq::identity::Identity;

use crate::labs::{behind, events, measure, scenario, summary};
use crate::tools::{PATIENCE, assert_whole, text};

/// A streamer with QUIC whose certificate outlives it, the URL of the feed `room`, and the client's flag for its pin.
async fn streamer(sandbox: &Sandbox) -> (Service, String, String) {
    streamer_with(sandbox, &[]).await
}

/// The same with more flags.
async fn streamer_with(sandbox: &Sandbox, more: &[&str]) -> (Service, String, String) {
    let now = service::clock::now().0;
    let identity = Identity::self_signed(UNIX_EPOCH + Duration::from_micros(now)).unwrap();
    let (certificate, key) = (sandbox.path("certificate.pem"), sandbox.path("key.pem"));
    identity.write(&certificate, &key).unwrap();
    let (certificate, key) = (text(&certificate), text(&key));
    let mut quic = vec![
        "--quic",
        "127.0.0.1:0",
        "--quic-cert",
        &certificate,
        "--quic-key",
        &key,
    ];
    quic.extend(more);
    let streamer = sandbox.streamer(&quic).await;
    let url = format!("roq://{}/room", streamer.addr("quic"));
    (streamer, url, format!("--quic-pin={}", identity.pin()))
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_over_quic_see_every_frame_and_come_back() {
    let sandbox = Sandbox::new();
    let (mut streamer, url, pin) = streamer(&sandbox).await;
    let renderer = sandbox.renderer(&streamer.feed_url("room"), &[]).await;
    let over_rtsp = sandbox.client(&streamer.rtsp_url("room"), &[]).await;
    let mut viewers = Vec::new();
    for transport in ["quic-datagram", "quic-stream"] {
        let flags = ["--transport", transport, &pin];
        let viewer = sandbox.client(&url, &flags).await;
        viewer.shows(60, PATIENCE).await;
        assert_whole(&viewer).await;
        let metric = format!("xr_streamer_viewers{{transport=\"{transport}\"}}");
        assert_eq!(streamer.ops().metric(&metric).await, Some(1.0));
        viewers.push(viewer);
    }
    viewers.push(over_rtsp);
    streamer = streamer.kill_and_restart().await;
    for viewer in &viewers {
        viewer.shows(30, PATIENCE).await;
    }
    for viewer in viewers {
        viewer.terminate().await;
    }
    let gone = "no viewer is left";
    until(gone, PATIENCE, async || {
        let metric = "xr_streamer_viewers{transport=\"quic-datagram\"}";
        (streamer.ops().metric(metric).await? == 0.0).then_some(())
    })
    .await;
    renderer.terminate().await;
}

/// A feed over QUIC, by both of its ways, beside one over HTTP; it comes back to a streamer that was killed, and needs its token.
#[tokio::test(flavor = "multi_thread")]
async fn feeds_over_quic_are_seen_and_come_back() {
    let sandbox = Sandbox::shared();
    let token = sandbox.path("token");
    std::fs::write(&token, "swordfish").unwrap();
    let token = text(&token);
    let more = ["--feed-token-file", &token];
    let (mut streamer, _, pin) = streamer_with(&sandbox, &more).await;
    let at = streamer.addr("quic");
    let (mut renderers, mut viewers) = (Vec::new(), Vec::new());
    for transport in ["quic-stream", "quic-datagram"] {
        let url = format!("roq://{at}/{transport}");
        let flags = ["--feed-transport", transport, &pin, "--token-file", &token];
        renderers.push(sandbox.renderer(&url, &flags).await);
        let viewer = sandbox.client(&streamer.rtsp_url(transport), &[]).await;
        viewer.shows(60, PATIENCE).await;
        let metric = format!("xr_streamer_begun_feeds_total{{transport=\"{transport}\"}}");
        assert_eq!(streamer.ops().metric(&metric).await, Some(1.0));
        viewers.push(viewer);
    }
    streamer = streamer.kill_and_restart().await;
    for viewer in &viewers {
        viewer.shows(30, PATIENCE).await;
    }
    for renderer in renderers {
        renderer.terminate().await;
    }
    // Its end is no loss: the name is free at once.
    until("both feeds end", PATIENCE, async || {
        let metric = "xr_streamer_feeds{state=\"gone\"}";
        (streamer.ops().metric(metric).await? >= 2.0).then_some(())
    })
    .await;

    let url = format!("roq://{at}/room");
    let args = [
        "--source",
        "test",
        "--feed",
        &url,
        &pin,
        "--ops",
        "127.0.0.1:0",
    ];
    let env = [("XR_TOKEN", "herring")];
    let refused = sandbox.spawn_in("refused", binary("xr-renderer"), &args, &env);
    assert!(!refused.exited().await.is_success());
    let log = refused.log_tail();
    assert!(log.contains("--feed-token-file"), "{log}");
    assert!(!log.contains("herring"), "{log}");
}

/// A feed that crosses the WAN and loses packets there is whole where each frame is on a stream: no frame is lost, and none waits for
/// another's packet.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_over_quic_crosses_a_lossy_wan() {
    let sandbox = Sandbox::new();
    let file = "[[scenario]]\nname = \"stream\"\nfeed = \"quic-stream\"\nfabric = \"nodeport\"\ntransport = \"quic-stream\"\n\
        duration = \"8s\"\nwan = { delay = \"10ms\", a_to_b = { loss_percent = 1 } }\n\
        [[scenario]]\nname = \"datagram\"\nfeed = \"quic-datagram\"\nfabric = \"liqo\"\ntransport = \"udp\"\n\
        duration = \"4s\"\nwan = { preset = \"local\" }\n";
    measure(&sandbox, file, &[]).await.well();
    let summary = summary(&sandbox);
    for name in ["stream", "datagram"] {
        let one = scenario(&summary, name);
        let count = |key: &str| one["frames"][key].as_f64().unwrap();
        let sent = count("generated") - behind(&sandbox, name) as f64;
        assert!(sent > 60.0 && count("shown") >= 0.97 * sent, "{one}");
        assert_eq!(one["frames"]["unread"], 0, "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_logged_only_when_asked_for() {
    let sandbox = Sandbox::shared();
    let (streamer, url, pin) = streamer(&sandbox).await;
    let _renderer = sandbox.renderer(&streamer.feed_url("room"), &[]).await;
    for asked in [false, true] {
        let file = sandbox.path(&format!("keys-{asked}"));
        let keys = text(&file);
        let mut args = vec![
            "--url",
            &url,
            &pin,
            "--ops",
            "127.0.0.1:0",
            "--duration",
            "1s",
        ];
        args.extend(asked.then_some("--quic-keylog"));
        let client = sandbox.spawn_in(
            "client",
            binary("xr-client"),
            &args,
            &[("SSLKEYLOGFILE", &keys)],
        );
        assert!(client.exited().await.is_success(), "{}", client.log_tail());
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            written.contains("CLIENT_TRAFFIC_SECRET_0"),
            asked,
            "{written}"
        );
    }
}

/// What RTP on UDP cannot: one UDP port through a NodePort with policy Cluster, whose rules hide where the client is.
#[tokio::test(flavor = "multi_thread")]
async fn quic_comes_back_through_a_masquerading_nodeport() {
    let sandbox = Sandbox::new();
    let mut file = String::new();
    let transports = ["quic-datagram", "quic-stream"];
    for transport in transports {
        file += &format!(
            "[[scenario]]\nname = \"{transport}\"\nfabric = \"nodeport\"\ntransport = \"{transport}\"\nduration = \"8s\"\n\
             wan = {{ preset = \"local\" }}\n"
        );
    }
    measure(&sandbox, &file, &[]).await.well();
    let summary = summary(&sandbox);
    for transport in transports {
        let one = scenario(&summary, transport);
        assert_eq!(one["transport"], transport, "{one}");
        let count = |key: &str| one["frames"][key].as_f64().unwrap();
        let sent = count("generated") - behind(&sandbox, transport) as f64;
        assert!(sent > 60.0 && count("shown") >= 0.995 * sent, "{one}");
    }
}

/// A viewer that gets another address in the middle of a stream: over QUIC its connection goes on, behind a NAT and without one; over
/// RTSP it opens another session. Either is seen in the report.
#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_moves_keeps_its_connection_over_quic() {
    const FPS: f64 = 30.0;
    let sandbox = Sandbox::shared();
    let scenarios = [
        ("datagram-nat", "nodeport", "quic-datagram", 5.0),
        ("stream-nat", "nodeport", "quic-stream", 5.0),
        ("datagram", "liqo", "quic-datagram", 5.0),
        // It finds out after four seconds.
        ("tcp", "nodeport", "tcp", 10.0),
    ];
    let mut file = String::new();
    for (name, fabric, transport, seconds) in scenarios {
        file += &format!(
            "[[scenario]]\nname = \"{name}\"\nfabric = \"{fabric}\"\ntransport = \"{transport}\"\nduration = \"{seconds}s\"\n\
             wan = {{ preset = \"local\" }}\nfault = [{{ at = \"2s\", what = \"move\", who = \"client\" }}]\n"
        );
    }
    measure(&sandbox, &file, &[]).await.well();
    let summary = summary(&sandbox);
    for (name, _, transport, seconds) in scenarios {
        let log = events(&sandbox, name);
        assert!(log.contains(",move,client,"), "{log}");
        assert!(
            log.contains(",moved,client,from 10.1.0.11 to 10.1.0.111"),
            "{log}"
        );
        let client = sandbox.path(&format!("out/{name}/run-1/logs/client.log"));
        let client = std::fs::read_to_string(client).unwrap();
        let sessions = client.matches("playing").count();
        let one = scenario(&summary, name);
        let shown = one["frames"]["shown"].as_f64().unwrap();
        if transport.starts_with("quic") {
            assert_eq!(sessions, 1, "{client}");
            // A report of the client's finds the way within a tenth of a second, and a key frame follows.
            let sent = one["frames"]["generated"].as_f64().unwrap() - behind(&sandbox, name) as f64;
            assert!(sent > 2.0 * FPS && shown >= sent - FPS, "{one}");
        } else {
            assert_eq!(sessions, 2, "{client}");
            assert!(shown >= (seconds - 7.0) * FPS, "{one}");
            let longest = one["freezes"]["longest_us"].as_f64().unwrap();
            assert!(longest >= 1e6, "{one}");
        }
    }
}

/// A decoder that is not ours reads the connection with its keys: the names of the protocol, the request, and in each datagram a flow and
/// a whole packet of it.
#[tokio::test(flavor = "multi_thread")]
async fn tshark_reads_the_packets_with_the_keys_of_the_connection() {
    let sandbox = Sandbox::shared();
    let (streamer, url, pin) = streamer(&sandbox).await;
    let _renderer = sandbox.renderer(&streamer.feed_url("room"), &[]).await;
    let port = streamer.addr("quic").port().to_string();
    let [capture, keys] = ["quic.pcap", "keys"].map(|name| text(&sandbox.path(name)));
    let args = ["-i", "lo", "-U", "-w", &capture, "udp", "port", &port];
    let captures = sandbox.spawn("capture", "tcpdump", &args);
    until("tcpdump", PATIENCE, async || {
        captures
            .log_tail()
            .contains("listening on lo")
            .then_some(())
    })
    .await;
    let args = [
        "--url",
        &url,
        &pin,
        "--ops",
        "127.0.0.1:0",
        "--duration",
        "5s",
        "--quic-keylog",
    ];
    let log = [("SSLKEYLOGFILE", keys.as_str())];
    let client = sandbox.spawn_in("client", binary("xr-client"), &args, &log);
    assert!(client.exited().await.is_success(), "{}", client.log_tail());
    captures.terminate(PATIENCE).await;

    let (keys, of) = (
        format!("tls.keylog_file:{keys}"),
        format!("udp.port=={port},quic"),
    );
    let fields = [
        "tls.handshake.extensions_alpn_str",
        "quic.stream_data",
        "quic.dg",
        "_ws.expert.message",
    ];
    // On loopback the kernel hands over what the sender had it cut up: longer ones are several packets, which tshark takes for one.
    let mut args = vec![
        "-r",
        &capture,
        "-o",
        &keys,
        "-d",
        &of,
        "-Y",
        "udp.length < 1500",
        "-T",
        "fields",
    ];
    args.extend(fields.iter().flat_map(|field| ["-e", *field]));
    let read = run("tshark", &args, PATIENCE).await.well();
    let columns = |number: usize| {
        read.lines()
            .filter_map(move |line| line.split('\t').nth(number))
            .flat_map(|column| column.split(','))
            .filter(|value| !value.is_empty())
    };
    assert_eq!(columns(0).next(), Some("roq-14"), "{read}");
    assert!(!read.contains("Decryption failed"), "{read}");
    let request = "00".to_owned() + &hex(r#"{"play":"room","by":"datagram"}"#);
    assert!(
        columns(1).any(|data| data == request),
        "{request} in {read}"
    );
    // Flow 1 and RTP of version 2; flow 2 and RTCP, of which a receiver report or a picture loss comes first.
    let rtp = columns(2)
        .filter(|datagram| datagram.starts_with("0180"))
        .count();
    let rtcp = |datagram: &str| {
        ["0280c9", "0281c9", "0281ce"]
            .iter()
            .any(|begin| datagram.starts_with(begin))
    };
    assert!(rtp >= 20, "{rtp} packets of RTP in {read}");
    assert!(columns(2).any(rtcp), "{read}");
    let strange = columns(2).find(|datagram| !datagram.starts_with("0180") && !rtcp(datagram));
    assert_eq!(strange, None, "{read}");
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
