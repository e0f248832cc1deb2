//! What an H.264 RTP payload (RFC 6184) holds, as far as a sender or a relay must know: key frames and parameter sets.

/// NAL unit type of a slice of a key frame (H.264 table 7-1).
pub const NAL_IDR: u8 = 5;
/// NAL unit type of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// NAL unit type of a picture parameter set.
pub const NAL_PPS: u8 = 8;

const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// A NAL unit that begins in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nal<'a> {
    /// The unit's type, 1 to 23.
    pub kind: u8,
    /// The unit with its header byte if it stands whole in the payload; absent for the first fragment of a longer one.
    pub whole: Option<&'a [u8]>,
}

/// The NAL units that begin in an RTP payload. Total: what is malformed yields nothing.
pub fn nals(payload: &[u8]) -> Nals<'_> {
    let kind = payload.first().map(|byte| byte & 0x1f);
    match kind {
        Some(1..=23) => Nals {
            single: Some(Nal {
                kind: payload[0] & 0x1f,
                whole: Some(payload),
            }),
            aggregate: &[],
        },
        Some(STAP_A) => Nals {
            single: None,
            aggregate: &payload[1..],
        },
        Some(FU_A) => {
            let start = payload.get(1).filter(|header| **header & 0x80 != 0);
            // A fragment is of a single NAL unit, never of another packet's kind (RFC 6184 section 5.8).
            let kind = start.map(|header| header & 0x1f);
            let single = kind
                .filter(|kind| (1..=23).contains(kind))
                .map(|kind| Nal { kind, whole: None });
            Nals {
                single,
                aggregate: &[],
            }
        }
        _ => Nals {
            single: None,
            aggregate: &[],
        },
    }
}

/// Whether a key frame's slice begins in this RTP payload.
pub fn starts_key_frame(payload: &[u8]) -> bool {
    nals(payload).any(|nal| nal.kind == NAL_IDR)
}

/// Iterator over the NAL units that begin in a payload: see [`nals`].
#[derive(Clone, Debug)]
pub struct Nals<'a> {
    single: Option<Nal<'a>>,
    aggregate: &'a [u8],
}

impl<'a> Iterator for Nals<'a> {
    type Item = Nal<'a>;

    fn next(&mut self) -> Option<Nal<'a>> {
        if let Some(nal) = self.single.take() {
            return Some(nal);
        }
        // STAP-A, RFC 6184 section 5.7.1: each unit after a length of 16 bits, and none of a packet's kind.
        loop {
            let (length, rest) = self.aggregate.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > rest.len() {
                self.aggregate = &[];
                return None;
            }
            let (unit, rest) = rest.split_at(length);
            self.aggregate = rest;
            let kind = unit[0] & 0x1f;
            if (1..=23).contains(&kind) {
                let whole = Some(unit);
                return Some(Nal { kind, whole });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_packing_is_looked_into() {
        assert!(starts_key_frame(&[0x65, 1, 2]));
        assert!(!starts_key_frame(&[0x61, 1, 2]));
        assert!(starts_key_frame(&[0x7c, 0x85, 1]), "first fragment");
        assert!(
            !starts_key_frame(&[0x7c, 0x05, 1]),
            "a later fragment begins nothing"
        );
        let stap = [0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 1, 0x65];
        let kinds: Vec<_> = nals(&stap).map(|nal| nal.kind).collect();
        assert_eq!(kinds, [NAL_SPS, NAL_PPS, NAL_IDR]);
        assert_eq!(nals(&stap).next().unwrap().whole, Some(&[0x67, 0x42][..]));
    }

    #[test]
    fn a_packet_within_a_packet_is_no_unit() {
        assert_eq!(nals(&[0x1c, 0xfc]).count(), 0, "a fragment of a fragment");
        assert_eq!(nals(&[0x78, 0, 1, 0x7c, 0, 1, 0x65]).count(), 1);
    }

    proptest! {
        #[test]
        fn reading_is_total(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(nals(&payload).count() <= payload.len());
            prop_assert!(nals(&payload).all(|nal| (1..=23).contains(&nal.kind)));
        }
    }
}
