//! Any text as a feed's content type and as its name, as the first bytes, the transport and the RTCP of a viewer, and any bytes as
//! a feed's beginning: each is taken or refused, and never both.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streamer::feed::name::FeedName;
use streamer::ingest::media_type::{MediaType, TS_PACKET_BYTES, begins_mpegts};
use streamer::ingest::ts_bounds::Bounds;
use streamer::rtsp::beginning::begins_rtsp;
use streamer::rtsp::{rtcp, transport};

/// The longest beginning of an RTSP message, `GET_PARAMETER `.
const RTSP_BYTES: usize = 14;

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
    let bytes = text.as_bytes();
    let begins = begins_rtsp(bytes);
    assert!(begins.is_some() || bytes.len() < RTSP_BYTES);
    for length in 0..=bytes.len().min(RTSP_BYTES) {
        // Whoever sends it in pieces is told the same, only later.
        let sooner = begins_rtsp(&bytes[..length]);
        assert!(sooner.is_none() || sooner == begins);
    }
    if begins == Some(true) {
        assert!(text.starts_with("RTSP/") || bytes[..RTSP_BYTES.min(bytes.len())].contains(&b' '));
    }
    let in_one = Bounds::default().push(text.as_bytes());
    let mut bounds = Bounds::default();
    let in_pieces = text
        .as_bytes()
        .chunks(7)
        .try_for_each(|piece| bounds.push(piece));
    assert_eq!(in_one, in_pieces);
    if begins_mpegts(text.as_bytes()) == Some(true) {
        assert!(text.starts_with('G') && text.len() > TS_PACKET_BYTES);
    }
});
