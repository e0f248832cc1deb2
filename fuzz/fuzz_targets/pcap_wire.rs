//! Any bytes as a capture: no more packets than there is room for, those of a capture that was cut off among those of the
//! whole one, and between a capture and itself no time passes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xrbench::calibrate::wire::{matched, packets};

/// A packet's header in a capture, in bytes.
const RECORD_BYTES: usize = 16;

/// A capture's header as tcpdump writes it here: microseconds, in the order of bytes of x86, and Ethernet.
const HEADER: [u8; 24] = [
    0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0,
];

fuzz_target!(|input: (bool, u16, &[u8])| {
    let (headed, cut, rest) = input;
    let mut capture = if headed { HEADER.to_vec() } else { Vec::new() };
    capture.extend_from_slice(rest);
    let cut = usize::from(cut).min(capture.len());
    let part = packets(&capture[..cut]);
    let whole = packets(&capture[..]);
    if let (Ok(part), Ok(whole)) = (&part, &whole) {
        assert!(whole.starts_with(part));
    }
    let Ok(whole) = whole else { return };
    assert!(whole.len() <= capture.len() / RECORD_BYTES);
    // Seconds of 32 bits, and at most as many millionths.
    assert!(whole.iter().all(|packet| packet.at_us >> 53 == 0));
    if let Some(way) = matched(&whole, &whole) {
        assert_eq!((way.figures.min, way.figures.max), (0, 0));
        assert_eq!(way.figures.count + way.unmatched, whole.len() as u64);
    }
});
