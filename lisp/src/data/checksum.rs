//! The Internet checksum (RFC 1071), and its change with one field (RFC 1624).

/// The checksum of `bytes`, as it is written into a header whose own field held zero.
pub fn of(bytes: &[u8]) -> u16 {
    finish(sum(0, bytes))
}

/// Adds `bytes` to a sum whose parts all have an even length, except for the last.
pub fn sum(start: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words = words
        .iter()
        .map(|&word| u64::from(u16::from_be_bytes(word)));
    let last = rest.first().map_or(0, |last| u64::from(*last) << 8);
    start + words.sum::<u64>() + last
}

/// The checksum that belongs to a sum.
pub fn finish(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The checksum after one word that it covers became another. One that was wrong stays wrong.
pub fn change(checksum: u16, from: u16, to: u16) -> u16 {
    // RFC 1624, equation 3: HC' = ~(~HC + ~m + m')
    finish(u64::from(!checksum) + u64::from(!from) + u64::from(to))
}
