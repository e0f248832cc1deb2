//! Properties of the stamp at its public face: what is drawn is read, what was not drawn is not, and nothing panics.

use proptest::prelude::*;
use stamp::{
    Line, MIN_HEIGHT, MIN_WIDTH, Plane, PlaneMut, STRIP_HEIGHT, STRIP_WIDTH, Stamp,
    draw_consumption, draw_generation, line, read_blocks, strip,
};

/// The three numbers that make a plane of a stamped picture.
#[derive(Clone, Copy, Debug)]
struct Size {
    width: usize,
    height: usize,
    stride: usize,
}

impl Size {
    /// The fewest bytes that hold the plane.
    fn bytes(self) -> usize {
        (self.height - 1) * self.stride + self.width
    }
}

prop_compose! {
    fn sizes()(
        width in MIN_WIDTH..2_000,
        height in MIN_HEIGHT..1_200,
        padding in prop_oneof![Just(0_usize), 0..300_usize],
    ) -> Size {
        Size { width, height, stride: width + padding }
    }
}

prop_compose! {
    fn stamps()(frame: u32, time_us: u64) -> Stamp {
        Stamp { frame, time_us }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_drawn_stamp_is_read(stamp in stamps(), size in sizes(), grey: u8) {
        let mut data = vec![grey; size.bytes()];
        let mut luma = PlaneMut::new(&mut data, size.width, size.height, size.stride)?;
        draw_generation(&mut luma, stamp);
        prop_assert_eq!(read_blocks(&luma.as_plane()), Ok(stamp.wrapped()));
        draw_consumption(&mut luma, Stamp { frame: 0, time_us: 0 });
        prop_assert_eq!(read_blocks(&luma.as_plane()), Ok(stamp.wrapped()), "the second line leaves the first stamp");
    }

    #[test]
    fn contrast_and_brightness_may_change(stamp in stamps(), low in 0_u8..100, spread in 60_u8..155) {
        let mut data = vec![0; MIN_WIDTH * MIN_HEIGHT];
        let mut luma = PlaneMut::new(&mut data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH)?;
        draw_generation(&mut luma, stamp);
        for pixel in &mut data {
            let scaled = u16::from(*pixel) * u16::from(spread) / 255;
            *pixel = low + u8::try_from(scaled)?;
        }
        let luma = Plane::new(&data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH)?;
        prop_assert_eq!(read_blocks(&luma), Ok(stamp.wrapped()));
    }

    #[test]
    fn only_the_stamp_is_drawn_on(stamp in stamps(), size in sizes()) {
        let mut data = vec![77; size.bytes()];
        let mut luma = PlaneMut::new(&mut data, size.width, size.height, size.stride)?;
        draw_generation(&mut luma, stamp);
        draw_consumption(&mut luma, stamp);
        let below = 48 + 2 * STRIP_HEIGHT;
        for (y, row) in data.chunks(size.stride).enumerate() {
            let from = if y < below { MIN_WIDTH } else { 0 };
            prop_assert!(row[from..].iter().all(|&pixel| pixel == 77), "row {}", y);
        }
    }

    #[test]
    fn a_strip_is_the_line_as_drawn(stamp in stamps(), size in sizes()) {
        let mut data = vec![77; size.bytes()];
        let mut luma = PlaneMut::new(&mut data, size.width, size.height, size.stride)?;
        draw_generation(&mut luma, stamp);
        draw_consumption(&mut luma, stamp);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        strip(&luma.as_plane(), Line::Generation, &mut first);
        strip(&luma.as_plane(), Line::Consumption, &mut second);
        prop_assert_eq!(first.len(), STRIP_WIDTH * STRIP_HEIGHT);
        prop_assert_eq!(first.first(), Some(&235), "the band's own white, not the picture");
        prop_assert_eq!(first.last(), Some(&235));
        prop_assert_eq!(first, second, "the same stamp on both lines");
    }

    #[test]
    fn a_line_is_parsed(stamp in stamps()) {
        let text = line::format(stamp);
        prop_assert_eq!(text.len(), line::LENGTH);
        prop_assert_eq!(line::parse(&text), Ok(stamp.wrapped()));
    }

    #[test]
    fn one_or_two_wrong_digits_are_found(
        stamp in stamps(),
        places in prop::array::uniform2(0..line::DIGITS),
        digits in prop::array::uniform2(b'0'..=b'9'),
    ) {
        let right = line::format(stamp).replace(' ', "");
        let mut wrong = right.clone().into_bytes();
        for (place, digit) in places.into_iter().zip(digits) {
            wrong[place] = digit;
        }
        let wrong = String::from_utf8(wrong)?;
        prop_assert_eq!(line::parse(&wrong).is_ok(), wrong == right);
    }

    #[test]
    fn swapped_neighbours_are_found(stamp in stamps(), place in 0..line::DIGITS - 1) {
        let right = line::format(stamp).replace(' ', "");
        let mut wrong = right.clone().into_bytes();
        wrong.swap(place, place + 1);
        let wrong = String::from_utf8(wrong)?;
        prop_assert_eq!(line::parse(&wrong).is_ok(), wrong == right);
    }

    #[test]
    fn any_text_is_parsed_without_panic(text in ".{0,60}") {
        prop_assert!(line::parse(&text).is_err());
    }

    #[test]
    fn a_picture_without_a_stamp_is_never_read(seed: [u8; 32], levels in 1_u8..=255) {
        let mut random = proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
        let mut data = vec![0; MIN_WIDTH * MIN_HEIGHT];
        random.fill_bytes(&mut data);
        // Blocks of one random grey each make both bits equally likely; plain noise would have no contrast at all.
        let greys: Vec<u8> = data[..120].iter().map(|grey| grey / levels * levels).collect();
        for (index, pixel) in data[..48 * MIN_WIDTH].iter_mut().enumerate() {
            *pixel = greys[index / MIN_WIDTH / 16 * 40 + index % MIN_WIDTH / 16];
        }
        let luma = Plane::new(&data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH)?;
        prop_assert!(read_blocks(&luma).is_err());
    }

    /// Every size and stride, also absurd ones, on every slice: refused or used, never a panic.
    #[test]
    fn nothing_panics(
        data in prop::collection::vec(any::<u8>(), 0..4_000),
        width in prop_oneof![0..200_usize, any::<usize>()],
        height in prop_oneof![0..200_usize, any::<usize>()],
        stride in prop_oneof![0..200_usize, any::<usize>()],
        stamp in stamps(),
    ) {
        if let Ok(plane) = Plane::new(&data, width, height, stride) {
            prop_assert!(read_blocks(&plane).is_err(), "too small for a stamp");
            let mut out = Vec::new();
            strip(&plane, Line::Generation, &mut out);
            prop_assert_eq!(out.len(), STRIP_WIDTH * STRIP_HEIGHT);
        }
        let mut data = data;
        if let Ok(mut plane) = PlaneMut::new(&mut data, width, height, stride) {
            draw_generation(&mut plane, stamp);
            draw_consumption(&mut plane, stamp);
            stamp::clear_chroma(&mut plane);
        }
    }
}

/// Black, white and striped pictures are the commonest without a stamp.
#[test]
fn plain_pictures_are_not_read() {
    let mut data = vec![0; MIN_WIDTH * MIN_HEIGHT];
    for period in [1, 2, 16, 17, 32, 64, 640, 640 * 16] {
        for (white, black) in [(235, 16), (16, 235), (255, 255), (0, 0)] {
            for (index, pixel) in data.iter_mut().enumerate() {
                *pixel = if index / period % 2 == 0 {
                    white
                } else {
                    black
                };
            }
            let luma =
                Plane::new(&data, MIN_WIDTH, MIN_HEIGHT, MIN_WIDTH).expect("the size of the data");
            assert!(
                read_blocks(&luma).is_err(),
                "stripes of {period} pixels, {white} and {black}"
            );
        }
    }
}

#[test]
fn chroma_is_neutral_under_the_stamp_only() {
    let (width, height) = (MIN_WIDTH / 2, MIN_HEIGHT / 2);
    let mut data = vec![33; width * height];
    let mut chroma = PlaneMut::new(&mut data, width, height, width).expect("the size of the data");
    stamp::clear_chroma(&mut chroma);
    let below = 24 + STRIP_HEIGHT;
    assert!(data[..24 * width].iter().all(|&pixel| pixel == 128));
    for row in data[24 * width..below * width].chunks(width) {
        assert!(row[..STRIP_WIDTH / 2].iter().all(|&pixel| pixel == 128));
        assert!(row[STRIP_WIDTH / 2..].iter().all(|&pixel| pixel == 33));
    }
    assert!(data[below * width..].iter().all(|&pixel| pixel == 33));
}
