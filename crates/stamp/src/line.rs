//! The line of digits as text: `NNNNNNNN TTTTTTTTTTTTTTTT CCCC`, the frame number, the time in microseconds since the
//! Unix epoch, and four check digits.
//!
//! The check digits are chosen so that all 28 digits, read as one number, leave `REMAINDER` when divided by the prime
//! `MODULUS`. Then it is certain that these misreadings are found:
//!
//! - any one digit taken for another, or two neighbours swapped (a prime above 9 divides neither `d x 10^k` nor
//!   `9 x d x 10^k` for a digit `d` that is not 0);
//! - any two digits, wherever they stand, taken for others (this prime is one for which no two such errors cancel out
//!   within 28 digits; a test tries them all);
//! - a digit too many or too few, by the length.
//!
//! Of all other strings of 28 digits exactly one in 10 000 passes: the probability that a reading which is wrong in three
//! digits or more is taken for right. Such a reading is then as far off as its wrong digits, mostly absurdly; a reader
//! who also knows when the recording was made finds those too.

use crate::content::{Stamp, Unread};
use crate::layout::{FRAME_DIGITS, TIME_DIGITS};

pub use crate::layout::DIGITS;

/// Characters in a line: the digits in three groups, a space between them.
pub const LENGTH: usize = DIGITS + 2;

/// The largest prime below 10^4 for which every error in two digits is found.
const MODULUS: u64 = 9_973;

/// The remainder of a valid line: not 0, so that a row of zeros, the easiest thing to read into a blank, is no valid line.
const REMAINDER: u64 = 4_711;

/// The line that shows `stamp`.
pub fn format(stamp: Stamp) -> String {
    ascii(stamp).iter().copied().map(char::from).collect()
}

/// The stamp that `text` shows. White space is ignored wherever it stands; the check digits must hold.
pub fn parse(text: &str) -> Result<Stamp, Unread> {
    let mut digits = [0_u8; DIGITS];
    let mut found = 0;
    for character in text.chars().filter(|character| !character.is_whitespace()) {
        if !character.is_ascii_digit() {
            return Err(Unread::NotADigit { found: character });
        }
        if let Some(place) = digits.get_mut(found) {
            *place = character as u8 - b'0';
        }
        found += 1;
    }
    if found != DIGITS {
        return Err(Unread::Length { found });
    }
    let (frame, rest) = digits.split_at(FRAME_DIGITS);
    let (time, check) = rest.split_at(TIME_DIGITS);
    let stamp = Stamp {
        frame: frame
            .iter()
            .fold(0, |number, &digit| number * 10 + u32::from(digit)),
        time_us: number(time),
    };
    if check_of(stamp) == number(check) {
        Ok(stamp)
    } else {
        Err(Unread::Check)
    }
}

/// The number that at most sixteen digits make.
fn number(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |number, &digit| number * 10 + u64::from(digit))
}

/// The line in ASCII, without allocating.
pub(crate) fn ascii(stamp: Stamp) -> [u8; LENGTH] {
    let stamp = stamp.wrapped();
    let mut text = [b' '; LENGTH];
    let (frame, rest) = text.split_at_mut(FRAME_DIGITS);
    let (time, check) = rest[1..].split_at_mut(TIME_DIGITS);
    write(frame, u64::from(stamp.frame));
    write(time, stamp.time_us);
    write(&mut check[1..], check_of(stamp));
    text
}

/// Writes `number` right-aligned with leading zeros.
fn write(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
    }
}

/// The check digits of a stamp that is [wrapped](Stamp::wrapped), as a number below [`MODULUS`].
fn check_of(stamp: Stamp) -> u64 {
    // Horner over the three groups; every product stays below 2^64, since the remainder is below 10^4.
    let frame = u64::from(stamp.frame) % MODULUS;
    let time = (frame * (Stamp::TIMES_US % MODULUS) + stamp.time_us) % MODULUS;
    let shifted = time * 10_000 % MODULUS;
    (REMAINDER + MODULUS - shifted) % MODULUS
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        frame: 123,
        time_us: 1_763_000_000_123_456,
    };

    #[test]
    fn the_line_is_written_as_documented() {
        let text = format(STAMP);
        assert_eq!(&text[..26], "00000123 1763000000123456 ");
        let digits: String = text.split(' ').collect();
        let number: u128 = digits.parse().expect("digits");
        assert_eq!(number % u128::from(MODULUS), u128::from(REMAINDER));
    }

    #[test]
    fn white_space_does_not_matter() {
        let text = format(STAMP);
        let spaced: String = text
            .chars()
            .flat_map(|digit| ['\t', digit, '\u{a0}', '\n'])
            .collect();
        assert_eq!(parse(&spaced), Ok(STAMP));
        assert_eq!(parse(&text.replace(' ', "")), Ok(STAMP));
    }

    #[test]
    fn what_is_not_a_line_says_why() {
        assert_eq!(parse(""), Err(Unread::Length { found: 0 }));
        assert_eq!(parse(&"1".repeat(29)), Err(Unread::Length { found: 29 }));
        assert_eq!(parse("12a4"), Err(Unread::NotADigit { found: 'a' }));
        assert_eq!(
            parse("\u{0663}"),
            Err(Unread::NotADigit { found: '\u{0663}' })
        );
        for digit in '0'..='9' {
            let row: String = std::iter::repeat_n(digit, DIGITS).collect();
            assert_eq!(parse(&row), Err(Unread::Check), "{row}");
        }
    }

    /// All errors in two digits, by arithmetic: `a x 10^i + b x 10^j` is never a multiple of the modulus. With `b` = 0
    /// that covers one digit, and a swap of neighbours is an error in two.
    #[test]
    fn no_two_wrong_digits_cancel_out() {
        let modulus = i64::try_from(MODULUS).expect("small");
        let mut power = 1;
        for distance in 1..DIGITS {
            power = power * 10 % modulus;
            for first in 1..=9 {
                for second in -9..=9 {
                    let error = (first * power + second) % modulus;
                    assert_ne!(error, 0, "{first} x 10^{distance} + {second}");
                }
            }
        }
    }

    #[test]
    fn one_check_in_ten_thousand_passes() {
        let passing = (0..10_000)
            .filter(|check| parse(&format!("00000123 1763000000123456 {check:04}")).is_ok());
        assert_eq!(passing.count(), 1);
    }
}
