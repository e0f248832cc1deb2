//! Any text as a feed's content type and as its name, as the transport of a viewer and its RTCP, and any bytes as a feed's
//! beginning: each is taken or refused, and never both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamer::feed::name::FeedName;
use streamer::ingest::media_type::{MediaType, TS_PACKET_BYTES, begins_mpegts};
use streamer::ingest::ts_bounds::Bounds;
use streamer::rtsp::{rtcp, transport};

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
    if let Ok(Some(port)) = transport::rtcp_port(text) {
        assert!(port >= 1024);
        assert!(!transport::offers_tcp_only(text));
    }
    assert!(transport::offers_tcp(text) || !transport::offers_tcp_only(text));
    let _ = rtcp::wants_keyframe(text.as_bytes());
    if let Some(ssrcs) = rtcp::ssrcs(text.as_bytes()) {
        assert!(ssrcs.len() <= text.len() / 8);
    }
    let in_one = Bounds::default().push(text.as_bytes());
    let mut bounds = Bounds::default();
    let in_pieces = text.as_bytes().chunks(7).try_for_each(|piece| bounds.push(piece));
    assert_eq!(in_one, in_pieces);
    if begins_mpegts(text.as_bytes()) == Some(true) {
        assert!(text.starts_with('G') && text.len() > TS_PACKET_BYTES);
    }
});
