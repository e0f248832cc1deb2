//! Any bytes as a picture of any size and stride: reading never panics, and whatever is read is what drawing it gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stamp::{Line, MIN_HEIGHT, MIN_WIDTH, Plane, PlaneMut, STRIP_HEIGHT, STRIP_WIDTH, Stamp};
use stamp::{draw_generation, read_blocks, strip};

fuzz_target!(|input: ([u16; 3], Option<(u32, u64)>, &[u8])| {
    let ([width, height, stride], drawn, bytes) = input;
    if let Ok(plane) = Plane::new(bytes, width.into(), height.into(), stride.into()) {
        let _ = read_blocks(&plane);
        let mut out = Vec::new();
        strip(&plane, Line::Consumption, &mut out);
        assert_eq!(out.len(), STRIP_WIDTH * STRIP_HEIGHT);
    }

    // A picture that has room for a stamp, with one or none, and the input's bytes as the greys of its blocks: a zero
    // leaves a block as it is.
    let mut data = vec![128; MIN_WIDTH * MIN_HEIGHT];
    let mut luma =
        PlaneMut::new(&mut data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH).expect("the size of the data");
    if let Some((frame, time_us)) = drawn {
        draw_generation(&mut luma, Stamp { frame, time_us });
    }
    for (block, &grey) in bytes
        .iter()
        .enumerate()
        .take(120)
        .filter(|(_, grey)| **grey != 0)
    {
        let corner = block / 40 * 16 * MIN_WIDTH + block % 40 * 16;
        for row in 0..16 {
            data[corner + row * MIN_WIDTH..][..16].fill(grey);
        }
    }
    let plane = Plane::new(&data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH).expect("the size of the data");
    if let Ok(read) = read_blocks(&plane) {
        assert_eq!(read, read.wrapped(), "a stamp out of range was read");
        let mut luma = PlaneMut::new(&mut data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH)
            .expect("the size of the data");
        draw_generation(&mut luma, read);
        assert_eq!(read_blocks(&luma.as_plane()), Ok(read));
    }
});
