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

/// A sequence and a picture parameter set, each a NAL unit with its header byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
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

    /// The value of `sprop-parameter-sets`.
    pub fn sprop(&self) -> String {
        let [sps, pps] = [&self.sps, &self.pps].map(|unit| BASE64.encode(unit));
        format!("{sps},{pps}")
    }

    /// The value of `profile-level-id`: the three bytes after the header byte of the sequence parameter set.
    pub fn profile_level_id(&self) -> Option<String> {
        let bytes = self.sps.get(1..4)?;
        Some(format!("{:02x}{:02x}{:02x}", bytes[0], bytes[1], bytes[2]))
    }

    fn keep(&mut self, unit: &[u8]) -> bool {
        let kept = match unit.first().map(|header| header & 0x1f) {
            Some(h264::NAL_SPS) if unit.len() >= 4 => &mut self.sps,
            Some(h264::NAL_PPS) if unit.len() >= 2 => &mut self.pps,
            _ => return false,
        };
        if unit.len() > MAX_BYTES || kept == unit {
            return false;
        }
        kept.clear();
        kept.extend_from_slice(unit);
        true
    }
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
