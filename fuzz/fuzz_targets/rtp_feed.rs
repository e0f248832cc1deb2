//! Any bytes as a feed's body: cut into packets, frames and numbered packets as the streamer does. What comes out is whole and
//! in order, and what is held meanwhile is little more than the frame that is not complete yet.
#![no_main]

#[path = "../held.rs"]
mod held;

use libfuzzer_sys::fuzz_target;
use media::framing::Deframer;
use media::rtp::Packet;
use streamer::feed::assembler::{Assembler, MAX_FRAME_BYTES, MAX_FRAME_PACKETS, MAX_PACKET_BYTES};
use streamer::feed::sequence::{PAYLOAD_TYPE, Renumber};

/// Pieces of a body, as large as a socket's reads.
const PIECE_BYTES: usize = 16 * 1024;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (repeat, payload_type, bytes) = input;
    // Short inputs show what piles up only when they come again and again.
    let body = bytes.repeat(usize::from(repeat) + 1);
    let before = held::bytes();
    let (mut deframer, mut assembler) = (
        Deframer::new(MAX_PACKET_BYTES),
        Assembler::new(payload_type),
    );
    let (mut renumber, mut next) = (Renumber::new(7, 65_000), 65_000_u16);
    let mut open = 0;
    for piece in body.chunks(PIECE_BYTES) {
        deframer.push(piece);
        loop {
            let Ok(packet) = deframer.next_packet() else {
                return;
            };
            let Some(packet) = packet else { break };
            let Ok(step) = assembler.push(&packet) else {
                return;
            };
            open += packet.len() + 16;
            let Some(frame) = step.frame else { continue };
            open = 0;
            let old: Vec<Vec<u8>> = frame.packets().map(<[u8]>::to_vec).collect();
            assert!(
                old.len() <= MAX_FRAME_PACKETS
                    && old.iter().map(Vec::len).sum::<usize>() <= MAX_FRAME_BYTES
            );
            let timestamp = frame.timestamp;
            let new = frame.into_packets(|packet| renumber.apply(packet).expect("checked"));
            assert_eq!(new.len(), old.len());
            for (new, old) in new.iter().zip(&old) {
                let (new, old) = (
                    Packet::new(new).expect("whole"),
                    Packet::new(old).expect("whole"),
                );
                assert_eq!(
                    (new.sequence(), new.ssrc(), new.payload_type()),
                    (next, 7, PAYLOAD_TYPE)
                );
                assert_eq!(
                    (new.timestamp(), new.marker(), new.payload()),
                    (timestamp, old.marker(), old.payload())
                );
                assert_eq!(old.timestamp(), timestamp);
                next = next.wrapping_add(1);
            }
        }
        let held = held::bytes().saturating_sub(before);
        let bound = 4 * open + 8 * (PIECE_BYTES + MAX_PACKET_BYTES);
        assert!(
            held <= bound,
            "{held} bytes are held for {open} of an open frame"
        );
    }
});
