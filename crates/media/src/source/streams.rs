//! Which streams a file holds: its video is linked, the others are not even decoded, and what was found explains a file
//! that gives no pictures. One with several videos is refused: a picture before the film would be taken for it.

use std::path::Path;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::error::SourceError;
use super::read_ahead::ReadAhead;

/// Links the video stream into `entrance` when it shows up; other streams are not even decoded.
pub(super) fn link_video(
    decode: &gst::Element,
    path: &Path,
    entrance: &gst::Element,
    streams: &Streams,
    pictures: &Arc<ReadAhead>,
) {
    decode.connect("autoplug-continue", false, |arguments| {
        let caps = arguments
            .get(2)
            .and_then(|caps| caps.get::<gst::Caps>().ok());
        let picture =
            caps.is_some_and(|caps| media_type(&caps).is_none_or(|kind| !is_other(&kind)));
        Some(picture.to_value())
    });
    let noted = streams.clone();
    decode.connect("unknown-type", false, move |arguments| {
        let caps = arguments.get(2)?.get::<gst::Caps>().ok()?;
        noted.0.lock().undecoded.extend(media_type(&caps));
        None
    });
    let (noted, into) = (streams.clone(), entrance.downgrade());
    let (refused, file) = (Arc::clone(pictures), path.display().to_string());
    decode.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps();
        let kind = caps.as_ref().and_then(media_type).unwrap_or_default();
        if kind != "video/x-raw" {
            noted.0.lock().others.push(named(kind));
            return;
        }
        let mut found = noted.0.lock();
        found.videos.extend(caps.as_ref().and_then(described));
        if found.videos.len() > 1 {
            refused.end(Err(SourceError::SeveralVideos {
                path: file.clone(),
                count: found.videos.len(),
                streams: found.videos.join(", "),
            }));
            return;
        }
        drop(found);
        let Some(sink) = into
            .upgrade()
            .and_then(|entrance| entrance.static_pad("sink"))
        else {
            return;
        };
        if sink.is_linked() || pad.link(&sink).is_ok() {
            noted.0.lock().linked = true;
        }
    });
    let (noted, pictures, path) = (
        streams.clone(),
        Arc::clone(pictures),
        path.display().to_string(),
    );
    decode.connect_no_more_pads(move |_| {
        if let Some(error) = noted.0.lock().without_video(&path) {
            pictures.end(Err(error));
        }
    });
}

/// What a file was found to hold. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Streams(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    linked: bool,
    /// The end of the file is missing.
    cut: bool,
    /// Size and rate of each video.
    videos: Vec<String>,
    /// Media types without a decoder.
    undecoded: Vec<String>,
    /// Media types that are no video.
    others: Vec<String>,
}

impl Streams {
    /// The file is opened anew.
    pub(super) fn forget(&self) {
        *self.0.lock() = Found::default();
    }

    /// The end of the file is missing.
    pub(super) fn note_cut(&self) {
        self.0.lock().cut = true;
    }

    /// Whether the end of the file was found to be missing.
    pub(super) fn is_cut(&self) -> bool {
        self.0.lock().cut
    }

    /// The reason why the file at `path` gives no video, if that is known.
    pub(super) fn without_video(&self, path: &str) -> Option<SourceError> {
        self.0.lock().without_video(path)
    }
}

impl Found {
    /// The reason why the file gives no video, if that is known.
    fn without_video(&self, path: &str) -> Option<SourceError> {
        let path = path.to_owned();
        let codec = self.undecoded.iter().find(|kind| !is_other(kind));
        match codec {
            _ if self.linked => None,
            Some(codec) => Some(SourceError::NoDecoder {
                path,
                codec: codec.clone(),
            }),
            None if self.others.is_empty() => None,
            None => Some(SourceError::NoVideo {
                path,
                streams: self.others.join(", "),
            }),
        }
    }
}

/// The media type in words, where there may be none.
fn named(kind: String) -> String {
    if kind.is_empty() {
        "a stream of no known type".to_owned()
    } else {
        kind
    }
}

/// Whether it is a stream without pictures, which need not be decoded.
fn is_other(kind: &str) -> bool {
    [
        "audio/",
        "text/",
        "subpicture/",
        "closedcaption/",
        "application/x-subtitle",
    ]
    .iter()
    .any(|prefix| kind.starts_with(prefix))
}

fn media_type(caps: &gst::Caps) -> Option<String> {
    Some(caps.structure(0)?.name().to_string())
}

/// The size and rate of raw video.
fn described(caps: &gst::Caps) -> Option<String> {
    let of = caps.structure(0)?;
    let (width, height) = (of.get::<i32>("width").ok()?, of.get::<i32>("height").ok()?);
    let rate = of.get::<gst::Fraction>("framerate").ok();
    Some(match rate.filter(|rate| rate.numer() > 0) {
        Some(rate) => format!("{width}x{height} at {}/{}", rate.numer(), rate.denom()),
        None => format!("{width}x{height}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_has_instead_is_never_a_blank() {
        let found = Found {
            others: vec![named(String::new()), named("audio/x-raw".to_owned())],
            ..Found::default()
        };
        let text = found.without_video("nothing.mkv").unwrap().to_string();
        assert!(
            text.contains("only a stream of no known type, audio/x-raw;"),
            "{text}"
        );
    }
}
