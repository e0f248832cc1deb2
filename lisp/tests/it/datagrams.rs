//! Any datagrams, as the fuzz target `lisp_control` has them.

use proptest::prelude::*;

#[path = "any_datagrams.rs"]
mod any_datagrams;

proptest! {
    #[test]
    fn any_datagrams_keep_both_machines_within_their_bounds(
        steps in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), any::<u16>(), 0_u8..16, proptest::collection::vec(any::<u8>(), 0..120)),
            0..12,
        ),
    ) {
        let with_type = steps.into_iter().map(|(sign, last, later, kind, mut bytes)| {
            if let Some(first) = bytes.first_mut() {
                *first = *first & 0x0f | kind << 4;
            }
            (sign, last, later, bytes)
        });
        any_datagrams::check(with_type.collect());
    }
}
