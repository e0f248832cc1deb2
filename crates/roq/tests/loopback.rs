//! Both sides over loopback, with quinn between them: packets arrive, and nobody is harmed by what peers may do.

#[cfg(test)]
mod peers;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bytes::Bytes;
use peers::{
    ASKED_FOR, DAY, LAST, LIMIT, Server, TOKEN, feed, frame, now, offer, play, raw_connect, rtp,
    watch,
};
use roq::codes::Code;
use roq::connect::{DialError, PlayError};
use roq::counters::Sent;
use roq::feed::FeedError;
use roq::framing::{FlowId, datagram};
use roq::identity::Identity;
use roq::send::Sender;
use roq::signal::{Mode, Told};
use roq::trust::Trust;

#[tokio::test(flavor = "multi_thread")]
async fn every_packet_of_both_modes_arrives() {
    for mode in [Mode::Datagram, Mode::Stream] {
        let server = Server::start().await;
        let viewer = watch(play(&server, mode).await.unwrap());
        for number in 0..200 {
            server.push(
                number == 0,
                &[rtp(2 * number, 1100), rtp(2 * number + 1, 300)],
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut packets = viewer.packets(400).await;
        packets.sort_unstable();
        assert!(packets.iter().copied().eq(0..400), "{mode:?}");
        assert_eq!(server.sent.dropped.get(), 0, "{mode:?}");
        assert_eq!(server.sent.frames.get(), 200, "{mode:?}");
        assert_eq!(server.sent.oversized.get(), 0, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_fit_no_datagram_go_on_streams() {
    let server = Server::start().await;
    let viewer = watch(play(&server, Mode::Datagram).await.unwrap());
    server.push(true, &[rtp(0, 1100), rtp(1, 20_000)]);
    server.push(false, &[rtp(2, 1100)]);
    let mut packets = viewer.packets(3).await;
    packets.sort_unstable();
    assert_eq!(packets, [0, 1, 2]);
    assert_eq!(server.sent.oversized.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_go_back() {
    let mut server = Server::start().await;
    let stream = play(&server, Mode::Datagram).await.unwrap();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    stream.reports().send(&report);
    assert_eq!(server.reports.recv().await.unwrap(), report[..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_feed_is_refused_with_the_reason() {
    let server = Server::start().await;
    let mut target = server.target(Mode::Datagram);
    target.name = "nobody".to_owned();
    let refused = roq::connect::play(&target, &server.trust, false).await;
    let Err(PlayError::Refused(why)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(why, "no feed has this name");
    server.is_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_refused_with_cause_and_remedy() {
    let now = now();
    let expired = Identity::valid(now - 3 * DAY, now - DAY).unwrap();
    let (pin, server) = (expired.pin(), Server::start_as(expired).await);
    let why = server.why_not(&Trust::Pinned(pin)).await;
    assert!(why.contains("certificate expired"), "{why}");

    let server = Server::start().await;
    let other = Identity::valid(now - DAY, now + DAY).unwrap().pin();
    let why = server.why_not(&Trust::Pinned(other)).await;
    let found = server.pin.to_string();
    assert!(
        why.contains(&found) && why.contains(&other.to_string()),
        "{why}"
    );
    assert!(why.contains("pin that"), "{why}");

    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let authority = Identity::valid(now - DAY, now + DAY).unwrap();
    authority.write(&chain, &key).unwrap();
    let why = server.why_not(&Trust::from_file(&chain).unwrap()).await;
    assert!(why.contains("invalid peer certificate"), "{why}");

    // An authority vouches for it; what is looked at is its time all the same.
    for (end, is_good) in [(now - DAY, false), (now + DAY, true)] {
        let server = Server::start_as(peers::vouched_for(folder.path(), end)).await;
        let answer = roq::connect::play(&server.target(Mode::Stream), &server.trust, false).await;
        let why = answer.err().map(|error| error.to_string());
        assert_eq!(why.is_none(), is_good, "{why:?}");
        assert!(is_good || why.unwrap().contains("certificate expired"));
    }

    // Its own root, and a name that the certificate does not have.
    let server = Server::start_as(authority).await;
    let why = server.why_not(&Trust::from_file(&chain).unwrap()).await;
    assert!(why.contains("not valid for name"), "{why}");
    let mut target = server.target(Mode::Stream);
    target.host = "localhost".to_owned();
    let pinned = Trust::Pinned(server.pin);
    assert!(roq::connect::play(&target, &pinned, false).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_refused_by_name() {
    let server = Server::start().await;
    let error = raw_connect(&server, b"h3").await.unwrap_err();
    let why = roq::listen::explain(&error);
    assert!(why.contains("roq-14"), "{why}");
    assert_eq!(server.arrivals.failed.get(), 1);
    // An older draft has the same bytes.
    raw_connect(&server, b"roq-10").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn useless_datagrams_end_a_connection_and_no_other() {
    let server = Server::start().await;
    let viewer = watch(play(&server, Mode::Datagram).await.unwrap());
    let bad = play(&server, Mode::Datagram).await.unwrap();
    for number in 0..64_u64 {
        let flow = FlowId::new(1000 + number).unwrap();
        let garbage = if number % 2 == 0 {
            datagram(flow, b"garbage")
        } else {
            // A number of eight bytes that is cut off.
            Bytes::from_static(&[0xc0, 1])
        };
        bad.connection().send_datagram_wait(garbage).await.unwrap();
    }
    let why = bad.connection().closed().await;
    let why = roq::listen::explain(&why);
    assert!(why.contains(&Code::PacketError.to_string()), "{why}");
    assert_eq!(server.received.unknown_flows.get(), 32);
    assert_eq!(server.received.malformed.get(), 32);
    server.push(true, &[rtp(7, 500)]);
    assert_eq!(viewer.packets(1).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_are_a_few_and_then_the_end() {
    let server = Server::start().await;
    let viewer = watch(play(&server, Mode::Stream).await.unwrap());
    let bad = play(&server, Mode::Stream).await.unwrap();
    let mut kept = Vec::new();
    let mut opened = 0;
    let opening = async {
        for _ in 0..10_000 {
            let mut stream = bad.connection().open_uni().await?;
            let _ = stream.write_all(&[0x3f, 1, 2, 3]).await;
            opened += 1;
            kept.push(stream);
        }
        Ok::<_, quinn::ConnectionError>(())
    };
    let ended = tokio::time::timeout(Duration::from_secs(5), opening).await;
    assert!(!matches!(ended, Ok(Ok(()))), "10 000 streams were let in");
    assert!(opened < 200, "{opened} streams");
    server.push(true, &[rtp(7, 500)]);
    assert_eq!(viewer.packets(1).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rtp_on_a_bidirectional_stream_ends_the_connection() {
    let server = Server::start().await;
    let connection = raw_connect(&server, b"roq-14").await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&[1, 12]).await.unwrap();
    send.finish().unwrap();
    let why = roq::listen::explain(&connection.closed().await);
    assert!(why.contains("ROQ_STREAM_CREATION_ERROR"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_address_changes_keeps_its_stream() {
    // A NAT that takes another port, and a device in another network: quinn keeps what it knows of the path in the first case only.
    for (mode, elsewhere) in [
        (Mode::Datagram, "127.0.0.1:0"),
        (Mode::Datagram, "127.0.0.2:0"),
        (Mode::Stream, "127.0.0.1:0"),
        (Mode::Stream, "127.0.0.2:0"),
    ] {
        let server = Server::start().await;
        let stream = play(&server, mode).await.unwrap();
        let endpoint = stream.endpoint().clone();
        let viewer = watch(stream);
        server.push(true, &[rtp(0, 500)]);
        assert_eq!(viewer.packets(1).await, [0]);
        let before = server.viewer();

        endpoint
            .rebind(UdpSocket::bind(elsewhere).unwrap())
            .unwrap();
        let after = endpoint.local_addr().unwrap();
        assert_ne!(before, after);
        let started = Instant::now();
        let mut number = 1;
        while server.viewer() != after {
            assert!(started.elapsed() < LIMIT, "{mode:?} {elsewhere}");
            server.push(false, &[rtp(number, 500)]);
            number += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.push(true, &[rtp(60_000, 500)]);
        viewer.packet(60_000).await;
        assert_eq!(server.connections(), 1, "it is still the same one");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_handshakes_from_many_ports_must_prove_their_address() {
    let server = Server::start().await;
    // First packets of handshakes that nobody will go on with, each from a port of its own.
    let catcher = UdpSocket::bind("127.0.0.1:0").unwrap();
    catcher.set_read_timeout(Some(LIMIT)).unwrap();
    let mut sockets = Vec::new();
    let mut attempts = Vec::new();
    for _ in 0..100 {
        attempts.push(peers::begin(catcher.local_addr().unwrap()));
        let mut packet = [0; 2048];
        let length = catcher.recv(&mut packet).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&packet[..length], server.address).unwrap();
        sockets.push(socket);
    }
    let started = Instant::now();
    while server.arrivals.retried.get() < 50 {
        assert!(started.elapsed() < LIMIT);
        tokio::task::yield_now().await;
    }
    assert!(
        server.connections() <= 32,
        "{} of them are kept",
        server.connections()
    );
    let viewer = watch(play(&server, Mode::Datagram).await.unwrap());
    server.push(true, &[rtp(7, 500)]);
    assert_eq!(viewer.packets(1).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded_for_each_address_and_given_back() {
    let server = Server::start().await;
    let mut streams = Vec::new();
    for _ in 0..peers::PER_PEER {
        streams.push(play(&server, Mode::Datagram).await.unwrap());
    }
    assert!(matches!(
        play(&server, Mode::Datagram).await,
        Err(PlayError::Dial(DialError::Connect { .. }))
    ));
    assert_eq!(server.arrivals.peer_full.get(), 1);
    streams.clear();
    server.is_empty().await;
    play(&server, Mode::Datagram).await.unwrap();
}

/// A viewer that reads nothing: frames are let go whole, and what comes after is a key frame.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_path_costs_whole_frames() {
    let server = Server::start().await;
    let stream = play(&server, Mode::Stream).await.unwrap();
    // Nobody reads the streams: their window is full after some megabytes.
    let large = vec![rtp(0, 60_000); 20];
    let started = Instant::now();
    let mut asked = false;
    while !asked {
        assert!(started.elapsed() < LIMIT);
        asked = server.push(server.sent.frames.get() == 0, &large);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(server.sent.dropped.get() > 0);
    let viewer = watch(stream);
    let frame = frame(true, &[rtp(9, 100)]);
    server.push_frame(&frame);
    viewer.packet(9).await;
}

/// What a server has been fed.
async fn fed(server: &mut Server, count: usize) -> Vec<u16> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let packet = tokio::time::timeout(LIMIT, server.reports.recv()).await;
        let packet = packet.unwrap_or_else(|_| panic!("{} of {count}", numbers.len()));
        let packet = packet.expect("the server goes on");
        numbers.push(u16::from_be_bytes([packet[2], packet[3]]));
    }
    numbers.sort_unstable();
    numbers
}

/// A feed of both modes, to its last packet. The largest frame on a stream is longer than what a stranger may send; datagrams may
/// be lost on loopback too where many come at once.
#[tokio::test(flavor = "multi_thread")]
async fn every_packet_of_a_feed_arrives_before_its_end() {
    for (mode, last) in [(Mode::Datagram, 430), (Mode::Stream, 700)] {
        let mut server = Server::start().await;
        let feeding = feed(&server, offer(mode, TOKEN)).await.unwrap();
        let counters = Sent::default();
        let connection = feeding.connection().clone();
        let sender = Sender::new(connection, mode, Duration::from_secs(5), counters.clone());
        let running = sender.run(|| panic!("nothing is let go"));
        let pushing = async {
            for number in 0..100 {
                let packets: Vec<_> = (0..4).map(|part| rtp(4 * number + part, 1100)).collect();
                sender.push(&frame(number == 0, &packets), Instant::now());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let large: Vec<_> = (400..last).map(|number| rtp(number, 1100)).collect();
            sender.push(&frame(true, &large), Instant::now());
            sender.finish();
        };
        tokio::join!(running, pushing);
        assert_eq!(feeding.connection().close_reason(), None, "{mode:?}");
        feeding.end().await;
        let numbers = fed(&mut server, usize::from(last)).await;
        assert!(numbers.iter().copied().eq(0..last), "{mode:?}");
        assert_eq!(counters.frames.get(), 101, "{mode:?}");
        server.is_empty().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_hears_what_the_server_wants_of_it() {
    let mut server = Server::start().await;
    let declined = feed(&server, offer(Mode::Stream, "herring")).await;
    let Err(FeedError::Declined(declined)) = declined else {
        panic!("{declined:?}");
    };
    assert_eq!((declined.status, &*declined.why), (401, "another token"));
    server.is_empty().await;

    let mut feeding = feed(&server, offer(Mode::Datagram, TOKEN)).await.unwrap();
    let packet = datagram(FlowId::RTP, &rtp(ASKED_FOR, 500));
    feeding.connection().send_datagram(packet).unwrap();
    assert_eq!(fed(&mut server, 1).await, [ASKED_FOR]);
    assert_eq!(feeding.told().await, Ok(Told::Keyframe));
    let packet = datagram(FlowId::RTP, &rtp(LAST, 500));
    feeding.connection().send_datagram(packet).unwrap();
    let Ok(Told::Declined(declined)) = feeding.told().await else {
        panic!("it is declined");
    };
    assert_eq!((declined.status, &*declined.why), (400, "enough"));
    feeding.end().await;
    server.is_empty().await;
}

/// A stranger may send no more than a request before it is known whether its feed is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_nobody_took_may_send_little() {
    let server = Server::start().await;
    let connection = raw_connect(&server, b"roq-14").await.unwrap();
    let mut streams = Vec::new();
    let mut sent = 0;
    let flooding = async {
        loop {
            let Ok(mut stream) = connection.open_uni().await else {
                return;
            };
            while stream.write_all(&[0; 1100]).await.is_ok() {
                sent += 1100;
            }
            streams.push(stream);
        }
    };
    let ended = tokio::time::timeout(LIMIT, flooding).await;
    assert!(ended.is_ok(), "it is cut off");
    assert!(sent <= 64 * 1024, "{sent} bytes");
}
