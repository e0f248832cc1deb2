//! Which track of an RTSP server's is the stream: one H.264 video. Everything that it offers is known from its SDP before any track is set
//! up, so that a stream of several videos is refused with all of them named: which one would be played would be chance.

use gstreamer_sdp as gst_sdp;
use settings::without_passwords;

/// What the client decodes, as SDP names it.
const DECODED: &str = "H264";

/// As many tracks are named.
const NAMED: usize = 8;

/// A video that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Track {
    /// Its number in the SDP, sound and the like counted too, from 1.
    number: usize,
    /// The codec, as `rtpmap` names it; empty where it does not.
    encoding: String,
    /// The address of the track, as the SDP has it.
    control: Option<String>,
    /// Width and height, where the SDP says them.
    size: Option<(u32, u32)>,
}

/// The videos of an SDP, in its order.
pub(super) fn videos(sdp: &gst_sdp::SDPMessageRef) -> Vec<Track> {
    let medias = sdp.medias().enumerate();
    medias
        .filter(|(_, media)| media.media() == Some("video"))
        .map(|(place, media)| Track {
            number: place + 1,
            encoding: media
                .attribute_val("rtpmap")
                .map_or_else(String::new, encoding),
            control: media.attribute_val("control").map(str::to_owned),
            size: size(media),
        })
        .collect()
}

/// The codec in `96 H264/90000`.
fn encoding(rtpmap: &str) -> String {
    let described = rtpmap.split_whitespace().nth(1).unwrap_or_default();
    let name = described.split('/').next().unwrap_or_default();
    name.to_ascii_uppercase()
}

/// What a media says of its pictures, in either of the two ways that servers have: `framesize:96 640-360` or `x-dimensions:640,360`.
fn size(media: &gst_sdp::SDPMediaRef) -> Option<(u32, u32)> {
    let (width, height) = match media.attribute_val("framesize") {
        Some(size) => size.split_whitespace().nth(1)?.split_once('-')?,
        None => media.attribute_val("x-dimensions")?.split_once(',')?,
    };
    Some((width.trim().parse().ok()?, height.trim().parse().ok()?))
}

/// The reason why none of these videos can be the stream; none where one of them is, or there is no video at all.
pub(super) fn refusal(videos: &[Track]) -> Option<String> {
    let decoded = videos.iter().filter(|track| track.encoding == DECODED);
    match (decoded.count(), videos) {
        (0, [first, ..]) => Some(format!(
            "the stream is {}, and this client decodes {DECODED} only: have the server send {DECODED}",
            named(&first.encoding)
        )),
        (0 | 1, _) => None,
        (count, _) => {
            let mut tracks: Vec<_> = videos.iter().take(NAMED).map(ToString::to_string).collect();
            if videos.len() > NAMED {
                tracks.push(format!("and {} more", videos.len() - NAMED));
            }
            Some(format!(
                "the stream has several H.264 videos, and which of the {count} is meant is not said: {}. Have the server offer the one \
                 under a path of its own, or, if it serves single tracks, give that track's address as --url",
                tracks.join("; ")
            ))
        }
    }
}

/// A codec in words, where there may be none.
const fn named(encoding: &str) -> &str {
    if encoding.is_empty() {
        "of no named codec"
    } else {
        encoding
    }
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "track {} ({}", self.number, named(&self.encoding))?;
        if let Some((width, height)) = self.size {
            write!(f, ", {width}x{height}")?;
        }
        match &self.control {
            Some(control) => write!(f, ", {})", without_secrets(control)),
            None => f.write_str(", no address)"),
        }
    }
}

/// A control address, which may be a relative one, as it may be shown: what follows a question mark may be a token.
fn without_secrets(control: &str) -> String {
    let address = control
        .split_once('?')
        .map_or(control, |(before, _)| before);
    without_passwords(address).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp(medias: &str) -> Vec<Track> {
        media::init().unwrap();
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n{}",
            medias.replace('\n', "\r\n")
        );
        videos(&gst_sdp::SDPMessage::parse_buffer(text.as_bytes()).unwrap())
    }

    const SOUND: &str = "m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=control:stream=0\n";
    const LEFT: &str = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=framesize:96 640-360\na=control:stream=1\n";
    const RIGHT: &str = "m=video 0 RTP/AVP 97\na=rtpmap:97 h264/90000\na=x-dimensions:320,240\n\
                         a=control:rtsp://me:secret@host/xr/track2?token=hidden\n";
    const DEPTH: &str = "m=video 0 RTP/AVP 98\na=rtpmap:98 H265/90000\n";

    #[test]
    fn each_track_is_named_without_its_secrets() {
        let why = refusal(&sdp(&[SOUND, LEFT, RIGHT, DEPTH].concat())).unwrap();
        for words in [
            "several H.264 videos",
            "which of the 2 is meant",
            "track 2 (H264, 640x360, stream=1); track 3 (H264, 320x240, rtsp://***@host/xr/track2); track 4 (H265, no address)",
            "--url",
        ] {
            assert!(why.contains(words), "{why}");
        }
        assert!(!why.contains("secret") && !why.contains("hidden"), "{why}");
        let many = refusal(&sdp(&LEFT.repeat(20))).unwrap();
        assert!(
            many.contains("track 8 (") && many.contains("and 12 more"),
            "{many}"
        );
    }

    #[test]
    fn one_video_of_ours_is_the_stream() {
        assert_eq!(refusal(&sdp(&[SOUND, LEFT].concat())), None);
        assert_eq!(refusal(&sdp(&[DEPTH, LEFT].concat())), None);
        assert_eq!(refusal(&sdp(SOUND)), None, "the server's answer says it");
        let why = refusal(&sdp(&[SOUND, DEPTH].concat())).unwrap();
        assert!(why.starts_with("the stream is H265, and"), "{why}");
        let why = refusal(&sdp("m=video 0 RTP/AVP 26\n")).unwrap();
        assert!(why.starts_with("the stream is of no named codec"), "{why}");
    }
}
