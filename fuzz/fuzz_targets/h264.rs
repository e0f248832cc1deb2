//! Any bytes as the payload of an RTP packet: what it is said to hold lies in it, and parameter sets that were learnt from it
//! are told as they are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media::h264;
use streamer::feed::parameters::ParameterSets;

fuzz_target!(|payload: &[u8]| {
    for nal in h264::nals(payload) {
        assert!((1..=23).contains(&nal.kind));
        if let Some(whole) = nal.whole {
            assert!(!whole.is_empty() && whole.len() <= payload.len());
            assert_eq!(whole[0] & 0x1f, nal.kind);
        }
    }
    let _ = h264::starts_key_frame(payload);
    let _ = h264::starts_picture(payload);
    assert!(h264::pictures(payload).begun <= payload.len());
    let mut sets = ParameterSets::default();
    assert_eq!(sets.learn(payload), sets != ParameterSets::default());
    if sets.complete() {
        assert_eq!(ParameterSets::from_sprop(&sets.sprop()), sets);
        assert_eq!(sets.profile_level_id().map(|text| text.len()), Some(6));
    }
});
