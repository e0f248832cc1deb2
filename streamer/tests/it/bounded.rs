//! What a hostile peer costs: memory, whatever the form in which it sends little, and time in which others are not answered.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::feeding::{RTP, Request, packet};
use crate::server::{Streamer, get};
use crate::speaking::Rtsp;

/// What a peer may make a streamer grow by.
const GROWTH_MIB: u64 = 64;

/// The streamer's resident memory in MiB.
fn resident_mib(streamer: &Streamer) -> u64 {
    let (_, metrics) = get(streamer.ops, "/metrics");
    let value = metrics.lines().find_map(|line| {
        let value = line.strip_prefix("process_resident_memory_bytes ")?;
        value.parse::<f64>().ok()
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some megabytes"
    )]
    let bytes = value.expect("it says so") as u64;
    bytes >> 20
}

/// Sends a feed in pieces until it is refused or over, and returns by how much the streamer grew at most.
fn growth_mib(streamer: &Streamer, kind: &str, pieces: impl Iterator<Item = Vec<u8>>) -> u64 {
    let before = resident_mib(streamer);
    let mut most = before;
    let mut feed = Request::begin(streamer.http, "hostile", Some(kind), None);
    for (number, piece) in pieces.enumerate() {
        if feed.send(&piece).is_err() {
            break;
        }
        if number % 100 == 99 {
            most = most.max(resident_mib(streamer));
        }
    }
    most = most.max(resident_mib(streamer));
    most - before
}

/// Small packets among null packets, which keep a connection alive: each would hold all of the piece that it came in.
#[test]
fn a_frame_pins_no_more_than_its_own_bytes() {
    let mut streamer = Streamer::start(&[]);
    let nulls = vec![0; 2 * 31_990];
    let pieces = (0..3_000_u16).map(|sequence| {
        let key: &[u8] = &[0x65, 0x88, 0x84, 0];
        [packet(sequence, 0, false, key), nulls.clone()].concat()
    });
    let grown = growth_mib(&streamer, RTP, pieces);
    assert!(grown < GROWTH_MIB, "{grown} MiB");
    assert!(streamer.is_running());
}

/// CRC-32/MPEG-2, which ends every table of a transport stream.
fn crc(bytes: &[u8]) -> [u8; 4] {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            let shifted = crc << 1;
            if crc >> 31 == 1 {
                shifted ^ 0x04c1_1db7
            } else {
                shifted
            }
        })
    };
    bytes.iter().fold(u32::MAX, step).to_be_bytes()
}

/// A packet of a transport stream, of which a unit begins in it or goes on.
fn ts_packet(pid: u16, begins: bool, count: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = pid.to_be_bytes();
    let mut packet = vec![0x47, high | u8::from(begins) << 6, low, 0x10 | count & 0xf];
    packet.extend(payload);
    packet.resize(188, 0xff);
    packet
}

fn table(id: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 9).unwrap().to_be_bytes();
    // Table 1, version 0, current, section 0 of 0.
    let mut section = vec![id, 0xb0 | length[0], length[1], 0, 1, 0xc1, 0, 0];
    section.extend(body);
    section.extend(crc(&section));
    // A pointer of 0: the table begins at once.
    [vec![0], section].concat()
}

/// A demultiplexer gathers each stream of a programme until its unit ends: many streams of which none does.
#[test]
fn pes_packets_without_an_end_are_bounded_together() {
    const PMT: u16 = 32;
    const STREAMS: u16 = 30;
    let mut streamer = Streamer::start(&[]);
    let pids = || 256..256 + STREAMS;
    let pat = [&[0, 1][..], &(0xe000 | PMT).to_be_bytes()].concat();
    let mut pmt = [&(0xe000_u16 | 256).to_be_bytes()[..], &[0xf0, 0]].concat();
    for pid in pids() {
        // H.264, without descriptors.
        pmt.push(0x1b);
        pmt.extend((0xe000 | pid).to_be_bytes());
        pmt.extend([0xf0, 0]);
    }
    let tables = [
        ts_packet(0, true, 0, &table(0, &pat)),
        ts_packet(PMT, true, 0, &table(2, &pmt)),
    ]
    .concat();
    // A PES packet of video of unknown length, with a time.
    let pes = [0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1];
    let begin: Vec<u8> = pids()
        .flat_map(|pid| ts_packet(pid, true, 0, &pes))
        .collect();
    let rest = (1..21_000_u32).map(|round| {
        let count = u8::try_from(round & 0xf).unwrap();
        let packets = pids().flat_map(|pid| ts_packet(pid, false, count, &[7; 184]));
        packets.collect::<Vec<u8>>()
    });
    let pieces = std::iter::once([tables, begin].concat()).chain(rest);
    let grown = growth_mib(&streamer, "video/mp2t", pieces);
    assert!(grown < GROWTH_MIB, "{grown} MiB");
    assert!(streamer.is_running());
}

/// Four peers that send headers without an end, again and again: the RTSP server reads each on one of its threads.
#[test]
fn others_are_answered_beside_headers_without_end() {
    let streamer = Streamer::start(&[]);
    let over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let (over, sent, rtsp) = (Arc::clone(&over), Arc::clone(&sent), streamer.rtsp);
            std::thread::spawn(move || {
                let lines = b"A: b\r\n".repeat(1000);
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(rtsp) else {
                        continue;
                    };
                    let limit = Some(Duration::from_secs(5));
                    stream.set_write_timeout(limit).unwrap();
                    let _ = stream.write_all(b"OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n");
                    while !over.load(Ordering::Relaxed) && stream.write_all(&lines).is_ok() {
                        sent.fetch_add(lines.len(), Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let (begun, before) = (Instant::now(), resident_mib(&streamer));
    let mut answered = 0;
    while begun.elapsed() < Duration::from_secs(4) || answered < 20 {
        let answer = Rtsp::connect(streamer.rtsp).ask("OPTIONS", "room", &[]);
        assert!(
            answer.starts_with("RTSP/1.0 200"),
            "{answer:?} after {answered}"
        );
        answered += 1;
        let (status, _) = get(streamer.ops, "/live");
        assert_eq!(status, 200);
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    let (sent, grown) = (
        sent.load(Ordering::Relaxed) >> 20,
        resident_mib(&streamer) - before,
    );
    assert!(sent > 0, "nothing was sent");
    assert!(grown < GROWTH_MIB, "{grown} MiB");
    let dropped = "xr_streamer_dropped_connections_total{reason=\"endless\"}";
    streamer.wait("they are counted", |streamer| streamer.metric(dropped) > 4);
}
