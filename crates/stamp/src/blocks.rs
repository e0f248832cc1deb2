//! The blocks: 120 bits for programs.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use crate::content::{Stamp, Unread};
use crate::layout::{BLACK, MIN_HEIGHT, MIN_WIDTH, WHITE};
use crate::{Plane, PlaneMut};

/// Side of a block in pixels: the macroblock of H.264, so that no block shares a transform with its neighbour.
pub(crate) const SIZE: usize = 16;

pub(crate) const ROWS: usize = 3;

/// Blocks in a row.
const COLUMNS: usize = MIN_WIDTH / SIZE;

/// Blocks in all, one bit each.
const BITS: usize = ROWS * COLUMNS;

/// Bytes of the frame number, of the time, and of the check: [`BITS`] bits.
const FRAME_BYTES: usize = 4;
const TIME_BYTES: usize = 7;
const CRC_BYTES: usize = 4;
const BYTES: usize = FRAME_BYTES + TIME_BYTES + CRC_BYTES;
const _: () = assert!(BYTES * 8 == BITS, "every block is a bit of the content");

/// The margin left out around a block's middle: the 8x8 pixels there are the farthest from the neighbours' ringing.
const MARGIN: usize = 4;

/// The least distance between the brightest and the darkest block, in grey levels. Drawn blocks are 219 apart, and a
/// stream that is watched at all keeps most of that.
const LEAST_SPREAD: u8 = 48;

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// The content with its check, as it is drawn: big endian, frame number, time, CRC-32.
fn encode(stamp: Stamp) -> [u8; BYTES] {
    let stamp = stamp.wrapped();
    let mut bytes = [0; BYTES];
    let (content, check) = bytes.split_at_mut(FRAME_BYTES + TIME_BYTES);
    content[..FRAME_BYTES].copy_from_slice(&stamp.frame.to_be_bytes());
    content[FRAME_BYTES..].copy_from_slice(&stamp.time_us.to_be_bytes()[1..]);
    check.copy_from_slice(&CRC.checksum(content).to_be_bytes());
    bytes
}

/// The stamp that `bytes` say, if the check holds and both numbers are ones that a stamp can show.
fn decode(bytes: [u8; BYTES]) -> Result<Stamp, Unread> {
    let [f0, f1, f2, f3, t0, t1, t2, t3, t4, t5, t6, ..] = bytes;
    let stamp = Stamp {
        frame: u32::from_be_bytes([f0, f1, f2, f3]),
        time_us: u64::from_be_bytes([0, t0, t1, t2, t3, t4, t5, t6]),
    };
    if encode(stamp) == bytes {
        Ok(stamp)
    } else {
        Err(Unread::Check)
    }
}

/// Draws a stamp as blocks.
pub(crate) fn draw(luma: &mut PlaneMut<'_>, stamp: Stamp) {
    let bytes = encode(stamp);
    let mut pixels = [0; MIN_WIDTH];
    for (row, bytes) in bytes.chunks_exact(COLUMNS / 8).enumerate() {
        let bits = bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        for (block, bit) in pixels.chunks_exact_mut(SIZE).zip(bits) {
            block.fill(if bit { WHITE } else { BLACK });
        }
        for y in row * SIZE..(row + 1) * SIZE {
            let span = luma.span_mut(y, 0, MIN_WIDTH);
            let drawn = span.len();
            span.copy_from_slice(&pixels[..drawn]);
        }
    }
}

/// Reads the blocks of a luma plane.
///
/// Each block is the mean of its middle; black and white are told apart halfway between the two kinds of blocks found,
/// so that a picture whose contrast or brightness was changed on the way is still read. Anything but a whole, unharmed
/// stamp is [`Unread`]: a picture without one passes the CRC with a probability of 2^-32, and the range of the two
/// numbers makes it 2^-40.
pub fn read_blocks(luma: &Plane<'_>) -> Result<Stamp, Unread> {
    let (width, height) = (luma.width(), luma.height());
    if width < MIN_WIDTH || height < MIN_HEIGHT {
        return Err(Unread::TooSmall { width, height });
    }
    let means = means(luma);
    let threshold = threshold(&means)?;
    let mut bytes = [0; BYTES];
    for (byte, means) in bytes.iter_mut().zip(means.chunks_exact(8)) {
        *byte = means
            .iter()
            .fold(0, |byte, mean| byte << 1 | u8::from(*mean > threshold));
    }
    decode(bytes)
}

/// The mean of every block's middle, in grey levels.
fn means(luma: &Plane<'_>) -> [u8; BITS] {
    const MIDDLE: usize = SIZE - 2 * MARGIN;
    let mut means = [0; BITS];
    for (row, means) in means.chunks_exact_mut(COLUMNS).enumerate() {
        let mut sums = [0_u32; COLUMNS];
        for y in row * SIZE + MARGIN..(row + 1) * SIZE - MARGIN {
            let blocks = luma.span(y, 0, MIN_WIDTH).chunks_exact(SIZE);
            for (sum, block) in sums.iter_mut().zip(blocks) {
                *sum += block[MARGIN..SIZE - MARGIN]
                    .iter()
                    .map(|&pixel| u32::from(pixel))
                    .sum::<u32>();
            }
        }
        for (mean, sum) in means.iter_mut().zip(sums) {
            *mean = grey(sum, MIDDLE * MIDDLE);
        }
    }
    means
}

/// The grey level between black and white blocks: halfway between the extremes at first, then halfway between the
/// means of the two kinds, which a single odd block cannot move far.
fn threshold(means: &[u8; BITS]) -> Result<u8, Unread> {
    let (darkest, brightest) = means.iter().fold((u8::MAX, 0), |(low, high), &mean| {
        (mean.min(low), mean.max(high))
    });
    let spread = brightest.saturating_sub(darkest);
    if spread < LEAST_SPREAD {
        return Err(Unread::NoContrast { spread });
    }
    let first = darkest.midpoint(brightest);
    let kind = |white: bool| {
        let of_kind = means.iter().filter(|mean| (**mean > first) == white);
        let (sum, count) = of_kind.fold((0, 0), |(sum, count), &mean| {
            (sum + u32::from(mean), count + 1)
        });
        grey(sum, count)
    };
    Ok(kind(false).midpoint(kind(true)))
}

/// The mean of `count` pixels that sum to `sum`; none make black.
fn grey(sum: u32, count: usize) -> u8 {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    u8::try_from(sum / count).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        frame: 12_345_678,
        time_us: 1_763_000_000_123_456,
    };

    #[test]
    fn the_bytes_drawn_stay_the_same() {
        // Recordings outlive programs: a change here makes every old one unreadable.
        let expected = [
            0x00, 0xbc, 0x61, 0x4e, 0x06, 0x43, 0x70, 0x6c, 0xbf, 0x12, 0x40,
        ];
        assert_eq!(encode(STAMP)[..11], expected);
        assert_eq!(
            CRC.checksum(b"123456789"),
            0xcbf4_3926,
            "the published check value of CRC-32/ISO-HDLC"
        );
    }

    #[test]
    fn every_single_and_double_bit_error_is_found() {
        let flip = |bytes: &mut [u8; BYTES], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        for first in 0..BITS {
            for second in first..BITS {
                let mut bytes = encode(STAMP);
                flip(&mut bytes, first);
                if second != first {
                    flip(&mut bytes, second);
                }
                assert_eq!(
                    decode(bytes),
                    Err(Unread::Check),
                    "bits {first} and {second}"
                );
            }
        }
    }

    #[test]
    fn numbers_that_no_stamp_shows_are_refused_though_the_crc_holds() {
        let mut bytes = [0xff; BYTES];
        let crc = CRC.checksum(&bytes[..FRAME_BYTES + TIME_BYTES]);
        bytes[FRAME_BYTES + TIME_BYTES..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(decode(bytes), Err(Unread::Check));
    }
}
