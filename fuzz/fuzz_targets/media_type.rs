//! Any text as a feed's content type and as its name, any bytes as its beginning: each is taken or refused, and never both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamer::feed::name::FeedName;
use streamer::ingest::media_type::{MediaType, TS_PACKET_BYTES, begins_mpegts};

fuzz_target!(|text: &str| {
    match MediaType::from_header(Some(text)) {
        Ok(MediaType::Rtp { payload_type, sets }) => {
            assert!(payload_type < 128);
            assert!(sets.sprop().len() < 4096);
        }
        Ok(_) => {}
        Err(refused) => assert!(refused.to_string().len() < 1000),
    }
    if let Ok(name) = FeedName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains(['/', '"', '%', '\r', '\n']));
    }
    if begins_mpegts(text.as_bytes()) == Some(true) {
        assert!(text.starts_with('G') && text.len() > TS_PACKET_BYTES);
    }
});
