//! QUIC's variable-length integers (RFC 9000 section 16): two bits of length, then 6, 14, 30 or 62 bits. Pure.

/// The largest number that can be written.
pub const MAX: u64 = (1 << 62) - 1;

/// The number at the beginning of `bytes`, and what follows it; none where it is cut off.
pub fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = 1_usize << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    let bits = number
        .iter()
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    Some((bits & ((1 << (8 * length - 2)) - 1), rest))
}

/// How many bytes `number` takes in its shortest form.
///
/// # Panics
/// When `number` is above [`MAX`].
pub fn length(number: u64) -> usize {
    assert!(number <= MAX, "{number} has more than 62 bits");
    match number {
        0..0x40 => 1,
        0x40..0x4000 => 2,
        0x4000..0x4000_0000 => 4,
        _ => 8,
    }
}

/// Writes `number` in its shortest form.
///
/// # Panics
/// When `number` is above [`MAX`].
pub fn write(number: u64, to: &mut Vec<u8>) {
    let length = length(number);
    let tag = u64::from(length.trailing_zeros()) << (8 * length - 2);
    to.extend_from_slice(&(number | tag).to_be_bytes()[8 - length..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The samples of RFC 9000 appendix A.1, the last of which is not the shortest form.
    #[test]
    fn numbers_are_those_of_the_rfc() {
        let samples: [(u64, &[u8]); 4] = [
            (
                151_288_809_941_952_652,
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
            ),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ];
        for (number, bytes) in samples {
            let mut written = Vec::new();
            write(number, &mut written);
            assert_eq!(written, bytes);
            assert_eq!(read(bytes), Some((number, &[][..])));
        }
        assert_eq!(read(&[0x40, 0x25, 7]), Some((37, &[7][..])));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(number in 0..=MAX, tail: Vec<u8>) {
            let mut bytes = Vec::new();
            write(number, &mut bytes);
            prop_assert_eq!(bytes.len(), length(number));
            for cut in 0..bytes.len() {
                prop_assert_eq!(read(&bytes[..cut]), None);
            }
            bytes.extend_from_slice(&tail);
            prop_assert_eq!(read(&bytes), Some((number, &tail[..])));
        }

        #[test]
        fn anything_can_be_read(bytes: Vec<u8>) {
            if let Some((number, rest)) = read(&bytes) {
                prop_assert!(number <= MAX && rest.len() < bytes.len());
            }
        }
    }
}
