//! The stamp against the codec: 10 000 stamped frames of 1280x720 go through x264, as the renderer sets it, and back.
//!
//! Half of them are a real film, half are noise, which is the worst that an encoder can be given. Each picture is
//! stamped once and encoded at three bitrates, by ffmpeg as child processes; pictures pass through pipes and are never
//! kept. What the blocks say of each is held against what was drawn, and strips of some go to Tesseract.

mod codec;
mod ocr;
mod pictures;

use std::ops::AddAssign;
use std::thread;

use codec::Codec;
use stamp::{Line, Plane, PlaneMut, STRIP_HEIGHT, STRIP_WIDTH, Stamp};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const FPS: u32 = 60;

/// Pictures of each of the two kinds; each is encoded at each of the bitrates.
const PICTURES: u32 = 1_667;

/// Bitrates in Mbit/s, and how many of 1000 frames may be unread.
const BITRATES: [(u32, u32); 3] = [(1, 10), (2, 1), (6, 1)];

/// Every how many-th frame's strip goes to Tesseract, at the highest bitrate: about 110 of each kind, since reading one
/// takes longer than encoding ten.
const STRIP_EVERY: u32 = 15;

/// What became of the frames of one bitrate.
#[derive(Clone, Debug, Default)]
struct Outcome {
    read: u32,
    unread: u32,
    wrong: u32,
    strips: Vec<(Stamp, Vec<u8>)>,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.unread += other.unread;
        self.wrong += other.wrong;
        self.strips.extend(other.strips);
    }
}

/// The stamp of picture `index`: known to the writer and to the readers alike.
fn stamp_of(index: u32) -> Stamp {
    Stamp {
        frame: index,
        time_us: 1_795_315_912_345_678 + u64::from(index) * 16_667 + u64::from(index % 7) * 131,
    }
}

#[test]
fn ten_thousand_frames_survive_the_codec() {
    let mut outcomes = vec![Outcome::default(); BITRATES.len()];
    for (total, outcome) in outcomes
        .iter_mut()
        .zip(encode_and_read(pictures::Film::open()))
    {
        *total += outcome;
    }
    for (total, outcome) in outcomes
        .iter_mut()
        .zip(encode_and_read(pictures::Noise::new()))
    {
        *total += outcome;
    }

    let frames: u32 = outcomes
        .iter()
        .map(|outcome| outcome.read + outcome.unread + outcome.wrong)
        .sum();
    assert!(frames >= 10_000, "only {frames} frames came back");
    for ((mbits, per_mille), outcome) in BITRATES.into_iter().zip(&outcomes) {
        let Outcome {
            read,
            unread,
            wrong,
            ..
        } = outcome;
        println!("{mbits} Mbit/s: {read} read, {unread} unread, {wrong} wrong");
        assert_eq!(*wrong, 0, "wrong readings accepted at {mbits} Mbit/s");
        assert!(
            unread * 1_000 <= per_mille * (read + unread),
            "{unread} of {} unread at {mbits} Mbit/s",
            read + unread
        );
    }

    let strips: Vec<_> = outcomes
        .into_iter()
        .flat_map(|outcome| outcome.strips)
        .collect();
    let found = ocr::read(&strips);
    println!(
        "Tesseract at 6 Mbit/s: {} of {} lines read, {} wrong",
        found.right,
        strips.len(),
        found.wrong
    );
    for unread in &found.unread {
        println!("  unread: {unread}");
    }
    assert_eq!(found.wrong, 0, "wrong lines accepted");
    assert!(
        found.right * 100 >= strips.len() * 99,
        "{} of {} lines read",
        found.right,
        strips.len()
    );
}

/// Stamps [`PICTURES`] pictures, sends each through every bitrate, and says what came back.
fn encode_and_read(mut source: impl pictures::Source) -> Vec<Outcome> {
    let (mut inputs, readers): (Vec<_>, Vec<_>) = BITRATES
        .into_iter()
        .map(|(mbits, _)| {
            let codec = Codec::start(mbits);
            let keep_strips = mbits == 6;
            (
                codec.input,
                thread::spawn(move || read_all(codec.output, keep_strips)),
            )
        })
        .unzip();
    let mut picture = vec![0; WIDTH * HEIGHT * 3 / 2];
    for index in 0..PICTURES {
        source.next_into(&mut picture);
        draw(&mut picture, stamp_of(index));
        for input in &mut inputs {
            input.push(&picture);
        }
    }
    for input in inputs {
        input.finish();
    }
    readers
        .into_iter()
        .map(|reader| reader.join().expect("the reader's own assertion says why"))
        .collect()
}

/// Draws the stamp as the renderer does: luma, then neutral chroma.
fn draw(i420: &mut [u8], stamp: Stamp) {
    let (luma, chroma) = i420.split_at_mut(WIDTH * HEIGHT);
    let mut luma = PlaneMut::new(luma, WIDTH, HEIGHT, WIDTH).expect("the size of the data");
    stamp::draw_generation(&mut luma, stamp);
    for plane in chroma.chunks_exact_mut(WIDTH / 2 * HEIGHT / 2) {
        let mut plane =
            PlaneMut::new(plane, WIDTH / 2, HEIGHT / 2, WIDTH / 2).expect("the size of the data");
        stamp::clear_chroma(&mut plane);
    }
}

/// Reads every decoded picture, in order.
fn read_all(mut output: codec::Output, keep_strips: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let mut index = 0;
    while let Some(luma) = output.next() {
        let luma = Plane::new(
            luma,
            codec::CROP_WIDTH,
            codec::CROP_HEIGHT,
            codec::CROP_WIDTH,
        )
        .expect("the size of the data");
        let truth = stamp_of(index);
        match stamp::read_blocks(&luma) {
            Ok(stamp) if stamp == truth => outcome.read += 1,
            Ok(_) => outcome.wrong += 1,
            Err(_) => outcome.unread += 1,
        }
        if keep_strips && index % STRIP_EVERY == 0 {
            let mut strip = Vec::with_capacity(STRIP_WIDTH * STRIP_HEIGHT);
            stamp::strip(&luma, Line::Generation, &mut strip);
            outcome.strips.push((truth, strip));
        }
        index += 1;
    }
    assert_eq!(
        index, PICTURES,
        "pictures came back of those that were sent"
    );
    outcome
}
