//! Drawing the generation stamp, in the last place before the encoder, and remembering it until the frame comes out again.

use std::collections::VecDeque;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use parking_lot::Mutex;
use stamp::{PlaneMut, Stamp};
use timeline::UnixMicros;

/// Reads the wall clock of this host.
pub type Clock = fn() -> UnixMicros;

/// Frames that may be between the stamp and the end of the encoder. A default x264 looks some 60 frames ahead.
const IN_FLIGHT: usize = 512;

/// The stamps of frames under way, by the frame's running time. Clones share it; the oldest entry makes room.
#[derive(Clone, Debug, Default)]
pub struct Stamps(Arc<Mutex<VecDeque<(gst::ClockTime, Stamp)>>>);

impl Stamps {
    /// A table without stamps.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stamp of the frame at `running_time`.
    pub fn find(&self, running_time: gst::ClockTime) -> Option<Stamp> {
        let stamps = self.0.lock();
        // The frame that is asked for is nearly always the newest.
        let found = stamps.iter().rev().find(|(time, _)| *time == running_time);
        found.map(|(_, stamp)| *stamp)
    }

    fn remember(&self, running_time: gst::ClockTime, stamp: Stamp) {
        let mut stamps = self.0.lock();
        if stamps.len() == IN_FLIGHT {
            stamps.pop_front();
        }
        stamps.push_back((running_time, stamp));
    }
}

/// Stamps every picture that passes `pad`, the encoder's sink, and calls `report` with each stamp.
///
/// A picture's offset is its frame number and its presentation time is its running time. `info` describes the pictures,
/// which are I420.
pub(crate) fn attach(
    pad: &gst::Pad,
    info: gst_video::VideoInfo,
    stamps: Stamps,
    clock: Clock,
    report: impl Fn(Stamp) + Send + Sync + 'static,
) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, probe| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut probe.data else {
            return gst::PadProbeReturn::Ok;
        };
        let (frame, running_time) = (buffer.offset(), buffer.pts().unwrap_or_default());
        let Some(stamp) = draw(buffer.make_mut(), &info, frame, clock) else {
            tracing::warn!(frame, "a picture without room for a stamp is dropped");
            return crate::DROPPED;
        };
        stamps.remember(running_time, stamp);
        report(stamp);
        gst::PadProbeReturn::Ok
    });
}

fn draw(
    buffer: &mut gst::BufferRef,
    info: &gst_video::VideoInfo,
    frame: u64,
    clock: Clock,
) -> Option<Stamp> {
    // Mapping copies the picture if somebody else still reads it, so the clock is read after it and before the drawing.
    let mut picture = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, info).ok()?;
    let (width, height) = (info.width() as usize, info.height() as usize);
    let strides = [0, 1, 2].map(|plane| usize::try_from(picture.plane_stride()[plane]));
    let [Ok(y), Ok(u), Ok(v)] = strides else {
        return None;
    };
    let [luma, blue, red, _] = picture.planes_data_mut();
    let mut luma = PlaneMut::new(luma, width, height, y).ok()?;
    let mut blue = PlaneMut::new(blue, width.div_ceil(2), height.div_ceil(2), u).ok()?;
    let mut red = PlaneMut::new(red, width.div_ceil(2), height.div_ceil(2), v).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a frame number is a number modulo 2^32: two years at 60 a second"
    )]
    let frame = frame as u32;
    let stamp = Stamp {
        frame,
        time_us: clock().0,
    }
    .wrapped();
    stamp::draw_generation(&mut luma, stamp);
    stamp::clear_chroma(&mut blue);
    stamp::clear_chroma(&mut red);
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use stamp::Plane;

    use super::*;

    fn fixed_clock() -> UnixMicros {
        UnixMicros(1_763_000_000_123_456)
    }

    #[test]
    fn a_shared_picture_is_copied_before_it_is_stamped() {
        crate::init().unwrap();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 640, 360)
            .build()
            .unwrap();
        let original = gst::Buffer::from_slice(vec![77_u8; info.size()]);
        let mut shared = original.clone();
        let stamp = draw(shared.make_mut(), &info, 41, fixed_clock).unwrap();
        assert_eq!(
            stamp,
            Stamp {
                frame: 41,
                time_us: fixed_clock().0
            }
        );
        let stamped = shared.map_readable().unwrap();
        let luma = Plane::new(&stamped[..640 * 360], 640, 360, 640).unwrap();
        assert_eq!(stamp::read_blocks(&luma), Ok(stamp));
        assert!(
            original
                .map_readable()
                .unwrap()
                .iter()
                .all(|byte| *byte == 77),
            "the decoder's picture is whole"
        );
    }

    #[test]
    fn a_picture_that_is_too_short_is_no_picture() {
        crate::init().unwrap();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 640, 360)
            .build()
            .unwrap();
        let mut short = gst::Buffer::from_slice(vec![0_u8; 1000]);
        assert_eq!(draw(short.make_mut(), &info, 0, fixed_clock), None);
    }

    #[test]
    fn the_oldest_stamp_makes_room() {
        let stamps = Stamps::new();
        for frame in (0..).take(IN_FLIGHT + 1) {
            stamps.remember(
                gst::ClockTime::from_mseconds(u64::from(frame)),
                Stamp { frame, time_us: 0 },
            );
        }
        assert_eq!(stamps.find(gst::ClockTime::ZERO), None);
        assert_eq!(
            stamps.find(gst::ClockTime::from_mseconds(1)).unwrap().frame,
            1
        );
        assert_eq!(stamps.0.lock().len(), IN_FLIGHT);
    }
}
