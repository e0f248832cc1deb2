//! The file that a source reads, with an end that every demuxer comes to.
//!
//! gst-libav answers a read past the end of a file with no bytes and no error, which libavformat of ffmpeg 5 takes for "not yet":
//! a demuxer of its reads there for ever, gif's at the end of each round and, in a file that was cut, before its first picture. After
//! some such reads they fail here, and it goes on with what it has.

use std::sync::atomic::{AtomicU32, Ordering};

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::{Error, element};

/// Reads past the end, one after the other, until they fail: more than any demuxer needs that knows the end of a file.
const READS: u32 = 64;

/// Makes an element that reads the file of this name for `decode`, as filesrc does. It calls `cut` when the end is come to before
/// the demuxer there has found a stream: its header runs through such a file to its end, and reads on where that is missing.
pub(super) fn file(
    name: &str,
    decode: &gst::Element,
    cut: impl Fn() + Send + Sync + 'static,
) -> Result<gst::Element, Error> {
    let source = element("filesrc")?;
    source.set_property("location", name);
    let Some(inner) = source.static_pad("src") else {
        return Err(Error::Build("filesrc has no pad src".to_owned()));
    };
    let bin = gst::Bin::new();
    bin.add(&source)?;
    let past_end = AtomicU32::new(0);
    let decode = decode.downgrade();
    let outer = gst::GhostPad::builder(gst::PadDirection::Src)
        .name("src")
        .getrange_function(move |pad: &gst::GhostPad, parent, offset, into, size| {
            let read = gst::ProxyPad::getrange_default(pad, parent, offset, size);
            match read {
                Ok(_) => past_end.store(0, Ordering::Relaxed),
                Err(gst::FlowError::Eos) => {
                    if past_end.fetch_add(1, Ordering::Relaxed) >= READS {
                        if decode.upgrade().is_some_and(|decode| is_searching(&decode)) {
                            cut();
                        }
                        return Err(gst::FlowError::Error);
                    }
                }
                Err(_) => {}
            }
            give(read?, into)
        })
        .build();
    outer.set_target(Some(&inner))?;
    bin.add_pad(&outer)?;
    Ok(bin.upcast())
}

/// Whether a demuxer in there has found no stream yet.
fn is_searching(decode: &gst::Element) -> bool {
    let Some(bin) = decode.downcast_ref::<gst::Bin>() else {
        return false;
    };
    let is_demuxer = |element: &gst::Element| {
        element
            .factory()
            .is_some_and(|factory| factory.has_type(gst::ElementFactoryType::DEMUXER))
    };
    bin.iterate_elements()
        .into_iter()
        .flatten()
        .any(|element| is_demuxer(&element) && element.num_src_pads() == 0)
}

/// Hands over what was read: in the buffer of who asks, if there is one.
fn give(
    read: gst::Buffer,
    into: Option<&mut gst::BufferRef>,
) -> Result<gst::PadGetRangeSuccess, gst::FlowError> {
    let Some(into) = into else {
        return Ok(gst::PadGetRangeSuccess::NewBuffer(read));
    };
    let bytes = read.map_readable().map_err(|_| gst::FlowError::Error)?;
    into.copy_from_slice(0, &bytes)
        .map_err(|_| gst::FlowError::Error)?;
    into.set_size(bytes.len());
    Ok(gst::PadGetRangeSuccess::FilledBuffer)
}
