//! The parameter sets of a feed, for the SDP that viewers get before the first packet.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use media::h264;

/// Base64 as senders write it: with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The longest parameter set that is kept. Real ones have some tens of bytes.
const MAX_BYTES: usize = 1024;

/// Bytes of all sets of a kind, which stand in every answer to a viewer: of more the oldest goes.
const MAX_ALL_BYTES: usize = 2048;

/// The sequence and picture parameter sets, each a NAL unit with its header byte: the latest of every number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// The one that came last is last.
    sps: Vec<Set>,
    pps: Vec<Set>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Set {
    /// The number that others refer to it by.
    number: u32,
    /// Of a picture parameter set, the number of its sequence parameter set.
    of: Option<u32>,
    unit: Vec<u8>,
}

impl ParameterSets {
    /// Reads the value of `sprop-parameter-sets` (RFC 6184 section 8.1): NAL units in Base64, with commas between them.
    pub fn from_sprop(text: &str) -> Self {
        let mut sets = Self::default();
        for unit in text.split(',') {
            sets.keep(&BASE64.decode(unit.trim()).unwrap_or_default());
        }
        sets
    }

    /// Takes what an RTP payload holds of them; whether they changed.
    pub fn learn(&mut self, payload: &[u8]) -> bool {
        let mut changed = false;
        for unit in h264::nals(payload).filter_map(|nal| nal.whole) {
            changed |= self.keep(unit);
        }
        changed
    }

    /// Whether both are known.
    pub fn complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty()
    }

    /// The value of `sprop-parameter-sets`: all of them, sequence parameter sets first.
    pub fn sprop(&self) -> String {
        let units = self.sps.iter().chain(&self.pps);
        let units: Vec<_> = units.map(|set| BASE64.encode(&set.unit)).collect();
        units.join(",")
    }

    /// The value of `profile-level-id`: the three bytes after the header byte of the latest sequence parameter set.
    pub fn profile_level_id(&self) -> Option<String> {
        let bytes = self.sps.last()?.unit.get(1..4)?;
        Some(format!("{:02x}{:02x}{:02x}", bytes[0], bytes[1], bytes[2]))
    }

    fn keep(&mut self, unit: &[u8]) -> bool {
        if unit.len() > MAX_BYTES {
            return false;
        }
        let set = |number, of| Set {
            number,
            of,
            unit: unit.to_vec(),
        };
        match (unit.first().map(|header| header & 0x1f), unit) {
            (Some(h264::NAL_SPS), [_, _, _, _, rest @ ..]) => {
                let [number] = golomb(rest);
                let number = number.unwrap_or(0);
                let changed = put(&mut self.sps, set(number, None));
                if changed {
                    // What referred to the one before is over with it: it is sent again (H.264 section 7.4.1.2.1).
                    self.pps.retain(|pps| pps.of != Some(number));
                }
                changed
            }
            (Some(h264::NAL_PPS), [_, rest @ ..]) if !rest.is_empty() => {
                let [number, of] = golomb(rest);
                let number = number.unwrap_or(0);
                put(&mut self.pps, set(number, of))
            }
            _ => false,
        }
    }
}

/// Puts `set` in the place of the one with its number; whether that is another one.
fn put(sets: &mut Vec<Set>, set: Set) -> bool {
    if sets.contains(&set) {
        return false;
    }
    sets.retain(|kept| kept.number != set.number);
    sets.push(set);
    let bytes = |sets: &[Set]| sets.iter().map(|set| set.unit.len()).sum::<usize>();
    while bytes(&sets[..]) > MAX_ALL_BYTES {
        sets.remove(0);
    }
    true
}

/// The first numbers of `bytes` in Exp-Golomb code (H.264 section 9.1), as far as they are there. Bytes that keep a start code
/// from appearing are not taken out: the numbers of sets are small, and stand before the first of them.
fn golomb<const N: usize>(bytes: &[u8]) -> [Option<u32>; N] {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    std::array::from_fn(|_| {
        let zeros = bits.by_ref().position(|bit| bit == 1)?;
        let mut number = 1_u32;
        for _ in 0..zeros {
            number = number.checked_mul(2)? | u32::from(bits.next()?);
        }
        Some(number - 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x1f, 0xda];
    const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];

    #[test]
    fn they_are_learnt_and_told() {
        let mut sets = ParameterSets::default();
        assert!(sets.learn(SPS));
        assert!(!sets.complete());
        assert!(sets.learn(PPS));
        assert!(sets.complete());
        assert!(!sets.learn(SPS), "nothing new");
        assert_eq!(sets.profile_level_id().unwrap(), "42c01f");
        assert_eq!(ParameterSets::from_sprop(&sets.sprop()), sets);
    }

    /// Slices choose among them: a viewer who knows one of two decodes some of the pictures.
    #[test]
    fn sets_with_other_numbers_stand_beside_each_other() {
        let mut sets = ParameterSets::default();
        // Numbers 0 and 1 of sequence parameter set 0, as `1 1` and `010 1`.
        let (first, second) = ([0x68, 0xce, 0x3c, 0x80], [0x68, 0x5b, 0x3c, 0x80]);
        assert!(sets.learn(SPS) && sets.learn(&first) && sets.learn(&second));
        assert_eq!(sets.sprop().split(',').count(), 3);
        assert!(!sets.learn(&first) && !sets.learn(&second), "nothing new");
        assert_eq!(ParameterSets::from_sprop(&sets.sprop()), sets);
        assert!(sets.learn(&[0x68, 0x5b, 0x3d, 0x80]), "another of number 1");
        assert_eq!(sets.sprop().split(',').count(), 3);
        // A change of size: what belonged to the old one goes.
        assert!(sets.learn(&[0x67, 0x64, 0, 0x28, 0xda]));
        assert!(!sets.complete());
        assert!(sets.learn(&first));
        assert_eq!(sets.sprop().split(',').count(), 2);
        assert_eq!(sets.profile_level_id().unwrap(), "640028");
    }

    #[test]
    fn there_is_an_end_to_them() {
        let mut sets = ParameterSets::default();
        for number in 0..=u8::MAX {
            let long = [number; 900];
            sets.learn(&[&[0x67, 0x42, 0xc0, 0x1f][..], &long].concat());
            sets.learn(&[&[0x68][..], &long].concat());
        }
        assert!(sets.sprop().len() < 2 * MAX_ALL_BYTES * 4 / 3 + 100);
    }

    #[test]
    fn numbers_are_read_as_they_are_coded() {
        assert_eq!(
            golomb(&[0b1010_0110, 0b0100_0000]),
            [Some(0), Some(1), Some(2), Some(3)]
        );
        assert_eq!(golomb::<1>(&[0]), [None]);
        assert_eq!(golomb::<1>(&[]), [None]);
        assert_eq!(golomb::<1>(&[0; 100]), [None]);
    }

    #[test]
    fn a_change_is_seen() {
        let mut sets = ParameterSets::from_sprop("Z0LAH9o=,aM48gA==");
        assert!(sets.complete());
        assert!(sets.learn(&[0x67, 0x64, 0, 0x28]));
        assert_eq!(sets.profile_level_id().unwrap(), "640028");
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in ["", ",", "!!!", "AAAA,AAAA", "Zw=="] {
            assert!(!ParameterSets::from_sprop(text).complete(), "{text}");
        }
        assert!(!ParameterSets::default().learn(&[0x67; 2000]));
    }
}
