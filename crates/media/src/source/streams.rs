//! Which streams a file holds: the first video is linked, the others are not even decoded, and what was found explains a
//! file that gives no pictures.

use std::path::Path;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use parking_lot::Mutex;

use super::error::SourceError;
use super::read_ahead::ReadAhead;

/// Links the first video stream into `entrance` when it shows up; other streams are not even decoded.
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
    decode.connect_pad_added(move |_, pad| {
        let kind = pad
            .current_caps()
            .and_then(|caps| media_type(&caps))
            .unwrap_or_default();
        if kind != "video/x-raw" {
            noted.0.lock().others.push(kind);
            return;
        }
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
    /// Media types without a decoder.
    undecoded: Vec<String>,
    /// Media types that are no video.
    others: Vec<String>,
}

impl Streams {
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
