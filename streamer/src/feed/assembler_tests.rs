//! What becomes of frames when packets are missing, doubled, foreign or garbage.

use proptest::prelude::*;

use super::*;

const PT: u8 = 96;

/// A packet whose payload is a slice's: the first of its picture or a later one.
fn packet(sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, u8::from(marker) << 7 | PT];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend([1, 2, 3, 4]);
    bytes.extend(payload);
    bytes
}

const KEY: &[u8] = &[0x65, 0x88, 0];
const DELTA: &[u8] = &[0x61, 0x9a, 0];
const LATER_SLICE: &[u8] = &[0x61, 0x40, 0];

#[test]
fn nothing_is_passed_on_before_a_key_frame() {
    let mut assembler = Assembler::new(PT);
    let step = assembler.push(&packet(0, 0, true, DELTA)).unwrap();
    assert_eq!((step.frame, step.skipped), (None, 1));
    assert!(
        assembler
            .push(&packet(1, 1500, false, KEY))
            .unwrap()
            .frame
            .is_none()
    );
    let frame = assembler
        .push(&packet(2, 1500, true, LATER_SLICE))
        .unwrap()
        .frame
        .unwrap();
    assert!(frame.key);
    assert_eq!(
        (frame.timestamp, frame.packets().count()),
        (RtpTimestamp(1500), 2)
    );
    assert!(
        assembler
            .push(&packet(3, 3000, true, DELTA))
            .unwrap()
            .frame
            .is_some()
    );
}

#[test]
fn of_a_frame_with_a_gap_nothing_is_passed_on_and_the_next_one_follows() {
    let mut assembler = Assembler::new(PT);
    assembler.push(&packet(0, 0, true, KEY)).unwrap();
    assembler.push(&packet(1, 1500, false, DELTA)).unwrap();
    let step = assembler
        .push(&packet(3, 1500, false, LATER_SLICE))
        .unwrap();
    assert_eq!((step.frame, step.missing, step.skipped), (None, 1, 1));
    let step = assembler.push(&packet(4, 1500, true, LATER_SLICE)).unwrap();
    assert_eq!(step, Step::default());
    assert!(
        assembler
            .push(&packet(5, 3000, true, DELTA))
            .unwrap()
            .frame
            .is_some()
    );
}

#[test]
fn a_gap_over_a_frame_border_costs_both_only_if_both_are_cut() {
    // The marker of the first and the beginning of the second are missing.
    let mut assembler = Assembler::new(PT);
    assembler.push(&packet(0, 0, true, KEY)).unwrap();
    assembler.push(&packet(1, 1500, false, DELTA)).unwrap();
    let step = assembler
        .push(&packet(4, 3000, false, LATER_SLICE))
        .unwrap();
    assert_eq!((step.frame, step.missing, step.skipped), (None, 2, 2));
    assert_eq!(
        assembler.push(&packet(5, 3000, true, LATER_SLICE)).unwrap(),
        Step::default()
    );

    // Whole frames are missing.
    let step = assembler.push(&packet(9, 9000, true, DELTA)).unwrap();
    assert_eq!((step.missing, step.skipped), (3, 0));
    assert!(step.frame.is_some());
}

#[test]
fn a_sender_without_markers_is_understood() {
    let mut assembler = Assembler::new(PT);
    assembler.push(&packet(0, 0, false, KEY)).unwrap();
    let frame = assembler
        .push(&packet(1, 1500, false, DELTA))
        .unwrap()
        .frame
        .unwrap();
    assert_eq!(frame.timestamp, RtpTimestamp(0));
}

#[test]
fn what_is_not_the_announced_stream_ends_the_feed() {
    let mut assembler = Assembler::new(PT);
    assert!(matches!(
        assembler.push(&[0x80; 5]),
        Err(Refusal::Malformed(_))
    ));
    let foreign = packet(0, 0, true, KEY);
    assert_eq!(
        Assembler::new(97).push(&foreign),
        Err(Refusal::PayloadType {
            found: 96,
            announced: 97
        })
    );
    for kind in [0, 25, 26, 27, 29, 30, 31] {
        assert_eq!(
            Assembler::new(PT).push(&packet(0, 0, true, &[kind, 1, 2])),
            Err(Refusal::Nal(kind))
        );
    }
}

#[test]
fn a_frame_without_end_is_refused() {
    let mut assembler = Assembler::new(PT);
    let payload = vec![0x65; 1200];
    let refused = (0..u16::MAX).find_map(|n| assembler.push(&packet(n, 0, false, &payload)).err());
    assert_eq!(refused, Some(Refusal::FrameTooLong));
}

#[test]
fn a_frame_of_countless_packets_is_refused() {
    let mut assembler = Assembler::new(PT);
    let refused = (0..5000).find_map(|n| {
        assembler
            .push(&packet(n, 0, false, &[]))
            .err()
            .map(|why| (n, why))
    });
    assert_eq!(refused, Some((4096, Refusal::FrameTooLong)));
}

proptest! {
    /// Whatever is lost on the way, every frame that comes out is a frame that went in, whole, and the first is a key frame.
    #[test]
    fn only_whole_frames_come_out(
        sizes in proptest::collection::vec(1_usize..6, 1..40),
        lost in proptest::collection::vec(0_u8..10, 240),
        first: u16,
    ) {
        let mut assembler = Assembler::new(PT);
        let (mut sequence, mut sent, mut out) = (first, Vec::new(), Vec::new());
        let mut lost = lost.into_iter();
        for (index, size) in sizes.iter().enumerate() {
            let timestamp = u32::try_from(index).unwrap() * 1500;
            let mut frame = Vec::new();
            for part in 0..*size {
                let payload = match (part, index % 4) {
                    (0, 0) => KEY,
                    (0, _) => DELTA,
                    _ => LATER_SLICE,
                };
                let bytes = packet(sequence, timestamp, part + 1 == *size, payload);
                sequence = sequence.wrapping_add(1);
                frame.push(bytes.clone());
                if lost.next() != Some(0) {
                    out.extend(assembler.push(&bytes).unwrap().frame);
                }
            }
            sent.push(frame);
        }
        if let Some(frame) = out.first() {
            prop_assert!(frame.key);
        }
        for frame in out {
            let packets: Vec<_> = frame.packets().map(<[u8]>::to_vec).collect();
            prop_assert!(sent.contains(&packets));
            let shared = frame.into_packets(|packet| packet[0] ^= 1);
            prop_assert!(shared.iter().zip(&packets).all(|(new, old)| new[1..] == old[1..] && new[0] == old[0] ^ 1));
            prop_assert_eq!(shared.len(), packets.len());
        }
    }

    #[test]
    fn any_bytes_are_an_answer(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40)) {
        let mut assembler = Assembler::new(PT);
        for bytes in packets {
            let _ = assembler.push(&bytes);
        }
    }
}
