//! What a feed says it is: its content type, and where that says nothing, its first bytes.

use crate::feed::parameters::ParameterSets;

/// Bytes from one sync byte of MPEG-TS to the next (ISO 13818-1 section 2.4.3.2).
pub const TS_PACKET_BYTES: usize = 188;

/// The first byte of each packet of MPEG-TS.
pub const TS_SYNC: u8 = 0x47;

/// How a feed's body is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// RTP packets in RFC 4571 framing.
    Rtp {
        /// Payload type of its packets.
        payload_type: u8,
        /// Parameter sets, if they came in the content type.
        sets: ParameterSets,
    },
    MpegTs,
    /// The content type says nothing of use: the first bytes tell.
    Unknown,
}

/// A content type that no feed may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// RTP, but not of H.264 video at 90 kHz.
    #[error("the content type says {key}={found}; only {key}={wanted} can be relayed")]
    Parameter {
        key: &'static str,
        found: String,
        /// The value that can be relayed.
        wanted: &'static str,
    },
    /// Neither RTP nor MPEG-TS.
    #[error("the content type is {0}")]
    Type(String),
}

impl MediaType {
    /// Reads the header `Content-Type`.
    pub fn from_header(text: Option<&str>) -> Result<Self, Unsupported> {
        let text = text.unwrap_or_default().trim();
        let mut parts = split_parameters(text);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-rtp-stream" => rtp(parts),
            "video/mp2t" | "video/mpegts" => Ok(Self::MpegTs),
            // What HTTP clients send when nobody told them better.
            "" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
                Ok(Self::Unknown)
            }
            _ => Err(Unsupported::Type(essence.chars().take(100).collect())),
        }
    }
}

fn rtp<'a>(parameters: impl Iterator<Item = &'a str>) -> Result<MediaType, Unsupported> {
    let (mut payload_type, mut sets) = (96, ParameterSets::default());
    for parameter in parameters {
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        let wrong = |key, wanted| {
            Err(Unsupported::Parameter {
                key,
                found: value.chars().take(100).collect(),
                wanted,
            })
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "media" if !value.eq_ignore_ascii_case("video") => return wrong("media", "video"),
            "clock-rate" if value != "90000" => return wrong("clock-rate", "90000"),
            "encoding-name" if !value.eq_ignore_ascii_case("H264") => {
                return wrong("encoding-name", "H264");
            }
            "payload" => match value.parse() {
                Ok(number @ 0..=127) => payload_type = number,
                _ => return wrong("payload", "a number from 0 to 127"),
            },
            "sprop-parameter-sets" => sets = ParameterSets::from_sprop(value),
            _ => {}
        }
    }
    Ok(MediaType::Rtp { payload_type, sets })
}

/// The parts of a media type between semicolons, of which quotes may hide some.
fn split_parameters(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    })
    .map(str::trim)
}

/// Whether `bytes` begin like MPEG-TS; none if there are too few to say.
pub fn begins_mpegts(bytes: &[u8]) -> Option<bool> {
    match (bytes.first(), bytes.get(TS_PACKET_BYTES)) {
        (Some(&TS_SYNC), Some(&TS_SYNC)) => Some(true),
        (None, _) | (Some(&TS_SYNC), None) => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_renderers_type_is_read() {
        let text = "application/x-rtp-stream; media=video; clock-rate=90000; encoding-name=H264; payload=98; \
                    sprop-parameter-sets=\"Z0LAH9o=,aM48gA==\"";
        let MediaType::Rtp { payload_type, sets } = MediaType::from_header(Some(text)).unwrap()
        else {
            panic!("not RTP");
        };
        assert_eq!(payload_type, 98);
        assert!(sets.complete());
    }

    #[test]
    fn other_codecs_are_named() {
        for (text, named) in [
            ("application/x-rtp-stream;encoding-name=VP8", "VP8"),
            ("application/x-rtp-stream;media=audio", "audio"),
            ("application/x-rtp-stream;payload=200", "200"),
            ("application/x-rtp-stream;clock-rate=48000", "48000"),
            ("video/webm", "video/webm"),
        ] {
            let error = MediaType::from_header(Some(text)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn what_says_nothing_is_looked_into() {
        for text in [None, Some(""), Some("application/octet-stream")] {
            assert_eq!(MediaType::from_header(text), Ok(MediaType::Unknown));
        }
        assert_eq!(
            MediaType::from_header(Some("Video/MP2T")),
            Ok(MediaType::MpegTs)
        );
        assert_eq!(begins_mpegts(&[]), None);
        assert_eq!(begins_mpegts(&[TS_SYNC; 100]), None);
        assert_eq!(begins_mpegts(&[TS_SYNC; 189]), Some(true));
        let mut bytes = [TS_SYNC; 189];
        bytes[188] = 0;
        assert_eq!(begins_mpegts(&bytes), Some(false));
        assert_eq!(begins_mpegts(b"RIFF"), Some(false));
    }
}
