//! How long packets were on the wire: two captures, one at each end, matched packet by packet.
//!
//! A packet is known again by its bytes: nothing between the two ends of the WAN rewrites one. Packets of the same bytes,
//! such as repeated acknowledgements, are left out.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read;
use std::path::Path;

use anyhow::Context as _;
use pcap_parser::traits::PcapReaderIterator as _;
use pcap_parser::{LegacyPcapReader, PcapBlockOwned, PcapError};
use stats::Exact;

/// Room for the longest packet of a capture, and its header.
const BUFFER_BYTES: usize = 256 << 10;

/// Packets of one capture that are looked at; more than an hour of 6 Mbit/s.
const MAX_PACKETS: usize = 4_000_000;

/// The Ethernet header, which differs from link to link, in bytes.
const ETHERNET_BYTES: usize = 14;

/// What two captures say of the way between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneWay {
    /// Microseconds from the first capture to the second.
    pub figures: Exact,
    /// Packets of the first capture that the second does not have, or that cannot be told from others.
    pub unmatched: u64,
}

/// A packet of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured, microseconds since the Unix epoch.
    pub at_us: u64,
    /// A digest of its length and its bytes.
    bytes: u64,
}

/// From `sent` to `arrived`, over the packets that were sent between two instants (microseconds since the Unix epoch).
pub fn one_way(sent: &Path, arrived: &Path, from_us: u64, to_us: u64) -> anyhow::Result<OneWay> {
    let in_window = |packet: &Packet| (from_us..to_us).contains(&packet.at_us);
    let mut sent = read(sent)?;
    sent.retain(in_window);
    matched(&sent, &read(arrived)?).with_context(|| {
        format!(
            "none of {} captured packets came out at the other end",
            sent.len()
        )
    })
}

/// The way between two captures, over the packets that both have once; none where there is no such packet.
pub fn matched(sent: &[Packet], arrived: &[Packet]) -> Option<OneWay> {
    let mut ends: HashMap<u64, (u32, u32, u64)> = HashMap::with_capacity(arrived.len());
    for packet in sent {
        ends.entry(packet.bytes).or_default().0 += 1;
    }
    for packet in arrived {
        let (_, count, at) = ends.entry(packet.bytes).or_default();
        *count += 1;
        *at = packet.at_us;
    }
    let mut ways = Vec::new();
    let mut unmatched = 0;
    for packet in sent {
        match ends.get(&packet.bytes) {
            // One that arrived before it was sent went the other way.
            Some((1, 1, at)) if *at >= packet.at_us => {
                let way = i64::try_from(*at).ok()? - i64::try_from(packet.at_us).ok()?;
                ways.push(way);
            }
            _ => unmatched += 1,
        }
    }
    Some(OneWay {
        figures: Exact::of(ways)?,
        unmatched,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<Packet>> {
    let bad = || format!("cannot read the capture {}", path.display());
    packets(File::open(path).with_context(bad)?).with_context(bad)
}

/// The packets of a capture as tcpdump writes it. One that was cut off in the middle of a packet is good up to there.
pub fn packets(capture: impl Read) -> anyhow::Result<Vec<Packet>> {
    let mut reader = LegacyPcapReader::new(BUFFER_BYTES, capture)
        .map_err(|error| anyhow::anyhow!("it is no capture: {error:?}"))?;
    let (mut packets, mut skip, mut nanoseconds) = (Vec::new(), 0, false);
    loop {
        match reader.next() {
            Ok((consumed, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        nanoseconds = header.is_nanosecond_precision();
                        skip = match header.network {
                            pcap_parser::Linktype::ETHERNET => ETHERNET_BYTES,
                            _ => 0,
                        };
                    }
                    PcapBlockOwned::Legacy(block) => {
                        let fraction =
                            u64::from(block.ts_usec) / if nanoseconds { 1000 } else { 1 };
                        packets.push(Packet {
                            at_us: u64::from(block.ts_sec) * 1_000_000 + fraction,
                            bytes: digest(
                                usize::try_from(block.origlen)
                                    .unwrap_or(usize::MAX)
                                    .saturating_sub(skip),
                                block.data.get(skip..).unwrap_or_default(),
                            ),
                        });
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(consumed);
            }
            Err(PcapError::Eof | PcapError::UnexpectedEof) => return Ok(packets),
            Err(PcapError::Incomplete(_)) => reader
                .refill()
                .map_err(|error| anyhow::anyhow!("{error:?}"))?,
            Err(error) => return Err(anyhow::anyhow!("{error:?}")),
        }
        if packets.len() >= MAX_PACKETS {
            return Ok(packets);
        }
    }
}

/// Enough to know a packet again; its length on the wire counts, so that snapped packets are told apart.
fn digest(length: usize, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (length, bytes).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(path: &Path, network: u32, packets: &[(u32, u32, &[u8])]) {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, network] {
            file.extend(word.to_le_bytes());
        }
        for (seconds, micros, data) in packets {
            let length = u32::try_from(data.len()).expect("short");
            for word in [*seconds, *micros, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(*data);
        }
        std::fs::write(path, file).expect("written");
    }

    #[test]
    fn packets_are_found_again_by_their_bytes() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (sent, arrived) = (dir.path().join("sent"), dir.path().join("arrived"));
        capture(
            &sent,
            101,
            &[
                (1, 0, b"early"),
                (10, 0, b"one"),
                (10, 100, b"two"),
                (10, 200, b"lost"),
                (10, 300, b"again"),
                (10, 400, b"again"),
            ],
        );
        // Ethernet at the other end: the header is not the packet's.
        let framed = |text: &str| [&[7; ETHERNET_BYTES][..], text.as_bytes()].concat();
        let [one, two, again] = ["one", "two", "again"].map(framed);
        capture(
            &arrived,
            1,
            &[
                (10, 5_000, &one),
                (10, 5_140, &two),
                (10, 5_300, &again),
                (10, 5_400, &again),
            ],
        );
        let way = one_way(&sent, &arrived, 10_000_000, 11_000_000).expect("matched");
        assert_eq!((way.figures.count, way.unmatched), (2, 3));
        assert_eq!((way.figures.p50, way.figures.max), (5_000, 5_040));
        let packet = |at_us| Packet { at_us, bytes: 7 };
        let backwards = matched(&[packet(100)], &[packet(90)]);
        assert_eq!(backwards, None, "it went the other way");
        let error = one_way(&sent, &arrived, 0, 1).expect_err("nothing was sent then");
        assert!(format!("{error:#}").contains("0 captured"), "{error:#}");
    }

    #[test]
    fn what_is_no_capture_is_named_and_a_cut_one_is_good_up_to_there() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("x.pcap");
        std::fs::write(&path, b"nonsense").expect("written");
        let error = read(&path).expect_err("no capture");
        assert!(format!("{error:#}").contains("x.pcap"), "{error:#}");
        capture(&path, 101, &[(1, 0, b"whole"), (2, 0, b"cut off")]);
        let whole = std::fs::read(&path).expect("written");
        std::fs::write(&path, &whole[..whole.len() - 3]).expect("written");
        assert_eq!(read(&path).expect("readable").len(), 1);
    }
}
