//! Any bytes as a feed's event stream: no more key frames are asked for than events end, in whatever pieces the bytes come, and
//! one line is held at most.
#![no_main]

use libfuzzer_sys::fuzz_target;
use renderer::feed::Events;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let mut whole = Events::default();
    let asked = whole.key_frames_in(bytes);
    // An event that asks has a line of its own, and an empty one behind it.
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(2 * asked <= lines, "{asked} asked in {lines} lines");

    let mut pieces = Events::default();
    let in_pieces: usize = bytes
        .chunks(usize::from(piece).max(1))
        .map(|piece| pieces.key_frames_in(piece))
        .sum();
    assert_eq!(in_pieces, asked);

    // Whatever came before, a whole event behind an empty line is heard, and once.
    pieces.key_frames_in(b"\n\n");
    assert_eq!(pieces.key_frames_in(b"event: keyframe\r\n\r\n"), 1);
    assert_eq!(pieces.key_frames_in(b"\n"), 0);
});
