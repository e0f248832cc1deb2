//! What an H.264 RTP payload (RFC 6184) holds, as far as a sender or a relay must know: key frames and parameter sets.

/// NAL unit type of a slice of any other frame (H.264 table 7-1).
const NAL_SLICE: u8 = 1;
/// NAL unit type of a slice of a key frame.
pub const NAL_IDR: u8 = 5;
/// NAL unit type of supplemental information, which stands before a picture's slices.
const NAL_SEI: u8 = 6;
/// NAL unit type of a sequence parameter set.
pub const NAL_SPS: u8 = 7;
/// NAL unit type of a picture parameter set.
pub const NAL_PPS: u8 = 8;

/// NAL unit type of an access unit delimiter.
const NAL_DELIMITER: u8 = 9;

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

/// Whether a picture begins in this RTP payload: by its first slice, or by what stands before it.
pub fn starts_picture(payload: &[u8]) -> bool {
    let is_slice = |kind| matches!(kind, NAL_SLICE | NAL_IDR);
    // The number of a slice's first macroblock comes first, and 0 is a single set bit.
    nals(payload).any(|nal| match nal.whole {
        Some(unit) if is_slice(nal.kind) => unit.get(1).is_some_and(|byte| byte & 0x80 != 0),
        None if is_slice(nal.kind) => payload.get(2).is_some_and(|byte| byte & 0x80 != 0),
        _ => (NAL_SEI..=NAL_DELIMITER).contains(&nal.kind),
    })
}

/// Whether a key frame's slice begins in this RTP payload.
pub fn starts_key_frame(payload: &[u8]) -> bool {
    nals(payload).any(|nal| nal.kind == NAL_IDR)
}

/// What a part of a byte stream (H.264 Annex B) has of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    /// Pictures that begin in it.
    pub begun: usize,
    /// Whether it begins within a picture.
    pub continues: bool,
}

/// Counts the pictures that begin in `stream`: by the first slice of each, the one with macroblock 0. Total.
pub fn pictures(stream: &[u8]) -> Pictures {
    let mut found = Pictures::default();
    let mut at = 0;
    while let Some(unit) = stream.get(at..at + 5) {
        if unit[..3] != [0, 0, 1] {
            // No start code begins before the last byte that is no zero.
            at += if unit[2] > 1 { 3 } else { 1 };
            continue;
        }
        at += 3;
        if matches!(unit[3] & 0x1f, NAL_SLICE | NAL_IDR) {
            // The number of its first macroblock comes first, and 0 is a single set bit.
            if unit[4] & 0x80 != 0 {
                found.begun += 1;
            } else {
                found.continues |= found.begun == 0;
            }
        }
    }
    found
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
    fn a_picture_begins_with_its_first_slice_or_what_stands_before_it() {
        for begins in [
            &[0x65, 0x88, 7][..],
            &[0x41, 0x9a],
            &[0x67, 0x42],
            &[0x09, 0x10],
            &[0x7c, 0x85, 0x88],
            &[0x78, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x08],
        ] {
            assert!(starts_picture(begins), "{begins:02x?}");
        }
        for goes_on in [
            &[0x65, 0x08][..],
            &[0x7c, 0x05, 0x88],
            &[0x7c, 0x85, 0x08],
            &[0x41],
        ] {
            assert!(!starts_picture(goes_on), "{goes_on:02x?}");
        }
    }

    #[test]
    fn a_packet_within_a_packet_is_no_unit() {
        assert_eq!(nals(&[0x1c, 0xfc]).count(), 0, "a fragment of a fragment");
        assert_eq!(nals(&[0x78, 0, 1, 0x7c, 0, 1, 0x65]).count(), 1);
    }

    #[test]
    fn pictures_begin_with_their_first_slice() {
        let begins = [
            0, 0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x65, 0x88, 7, 0, 0, 1, 0x65, 0x04, 7, 7,
        ];
        let of = |begun, continues| Pictures { begun, continues };
        assert_eq!(pictures(&begins), of(1, false), "of two slices");
        assert_eq!(pictures(&begins.repeat(3)), of(3, false));
        assert_eq!(pictures(&begins[12..]), of(0, true));
        assert_eq!(pictures(&[&begins[12..], &begins].concat()), of(1, true));
        assert_eq!(pictures(&[0, 0, 0, 1, 0x67, 0x42, 0, 30]), of(0, false));
        assert_eq!(pictures(&[]), of(0, false));
    }

    proptest! {
        #[test]
        fn pictures_are_found_wherever_they_are(
            before in proptest::collection::vec(2_u8..=255, 0..40),
            zeros in 2_usize..6,
            after in proptest::collection::vec(2_u8..=255, 0..40),
        ) {
            let stream = [&before[..], &[0].repeat(zeros), &[1, 0x41, 0x9a], &after].concat();
            prop_assert_eq!(pictures(&stream), Pictures { begun: 1, continues: false });
        }

        #[test]
        fn reading_is_total(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(pictures(&payload).begun <= payload.len());
            prop_assert!(nals(&payload).count() <= payload.len());
            prop_assert!(nals(&payload).all(|nal| (1..=23).contains(&nal.kind)));
        }
    }
}
