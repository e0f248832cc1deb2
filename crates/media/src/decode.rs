//! From H.264 to pictures, holding none back: RTP or whole access units in, every decoded picture to a callback, with
//! the instant at which the decoder delivered it and the RTP packets it came from.
//!
//! ```text
//! rtph264depay - avdec_h264 [- clocksync] - videoconvert - I420 - fakesink
//!    |      |             |            |                    |
//! packet()  tag       (clock read here)               picture()
//! ```
//!
//! - One decoder thread by default: frame threads hold back as many pictures as there are threads, which is what the
//!   element chooses by itself when its source is not live.
//! - `output-corrupt` is off: nothing is shown before the first key frame. After a loss pictures go on, concealed, as
//!   any player shows them. Whoever observes the packets asks the sender for a key frame.
//! - A frame that is too far behind the stream is not decoded (`live.rs`): nothing else in front of a decoder bounds
//!   how far a viewer falls behind.
//! - The clock is read first thing at the last place where a picture may have waited; everything else comes after.
//! - A picture belongs to the decoder, which still predicts from it: [`Picture`] lends it for reading only.
//! - What identifies a picture travels with it as a [`gst::ReferenceTimestampMeta`], not by its place in a queue, so
//!   reordering by B-frames and frames that never come out do no harm.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use parking_lot::Mutex;
use settings::ThreadType;
use timeline::{RtpTimestamp, UnixMicros};

use crate::live::{Fate, Live};
use crate::{Error, element, h264, rtp};

/// Access units whose packets were seen and whose picture may still come: far more than a depayloader holds.
const TAGS: usize = 64;

/// The options of the decoder.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Threads of the decoder; 0 lets libavcodec take one a core.
    pub threads: u32,
    /// What the threads share.
    pub thread_type: ThreadType,
    /// Wait for each picture's presentation time, as players do, before it counts as delivered.
    pub sync: bool,
    /// What reads the clock as packets come.
    pub clock: fn() -> UnixMicros,
    /// What reads the clock as a picture is delivered: the consumption stamp.
    pub stamp_clock: fn() -> UnixMicros,
}

impl Config {
    /// The settings of least latency: one thread, no waiting.
    pub fn new(clock: fn() -> UnixMicros) -> Self {
        Self {
            threads: 1,
            thread_type: ThreadType::Slice,
            sync: false,
            clock,
            stamp_clock: clock,
        }
    }
}

/// One RTP packet on its way to the depayloader, in the order of its sequence number.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The frame that it belongs to.
    pub rtp_timestamp: RtpTimestamp,
    pub sequence: u16,
    /// The last packet of its frame.
    pub marker: bool,
    /// Whether a picture begins in it.
    pub begins: bool,
    /// When it left the transport.
    pub at: UnixMicros,
}

/// The packets that a picture came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub rtp_timestamp: RtpTimestamp,
    /// When the marker packet left the transport; none if it was lost.
    pub received: Option<UnixMicros>,
    /// Whether packets of it never came.
    pub damaged: bool,
}

/// A decoded picture, lent for reading.
#[derive(Debug)]
pub struct Picture<'a> {
    /// The picture, mapped: I420, eight bits.
    pub frame: &'a gst_video::VideoFrameRef<&'a gst::BufferRef>,
    /// When the decoder delivered it.
    pub decoded: UnixMicros,
    /// The packets that it came from; none if the input was not RTP, or if they could not be told.
    pub origin: Option<Origin>,
    /// The picture's presentation time in the pipeline.
    pub pts: Option<gst::ClockTime>,
}

impl Picture<'_> {
    pub fn luma(&self) -> Option<stamp::Plane<'_>> {
        let data = self.frame.plane_data(0).ok()?;
        let stride = usize::try_from(self.frame.plane_stride()[0]).ok()?;
        let (width, height) = (self.frame.width() as usize, self.frame.height() as usize);
        stamp::Plane::new(data, width, height, stride).ok()
    }
}

/// Receiver of what happens in a decoding pipeline. Every call comes from the one streaming thread; what it spends delays the
/// next picture.
pub trait Observer: Send {
    /// Called for each packet that arrives. The marker's arrival is a frame's `received`.
    fn packet(&mut self, arrival: Arrival) {
        let _ = arrival;
    }

    /// A frame that is behind the stream will not be decoded; `ask` says that a key frame is wanted.
    fn dropped(&mut self, ask: bool) {
        let _ = ask;
    }

    /// A picture was decoded.
    fn picture(&mut self, picture: &Picture<'_>);
}

type Shared = Arc<Mutex<dyn Observer>>;

/// Makes a bin with one sink pad named `sink` that takes `application/x-rtp` with H.264 and ends in itself.
pub fn from_rtp(config: Config, observer: impl Observer + 'static) -> Result<gst::Bin, Error> {
    let observer: Shared = Arc::new(Mutex::new(observer));
    let depay = element("rtph264depay")?;
    tag_access_units(&depay, &observer, config)?;
    // In a byte stream the depayloader takes every parameter set for the start of a picture, and some payloaders repeat
    // them before each slice of a key frame: it would cut such pictures apart. In this form it takes them out.
    let units = element("capsfilter")?;
    units.set_property("caps", access_units("avc"));
    finish(config, &observer, &[depay, units])
}

/// Makes a bin with one sink pad named `sink` that takes whole access units as a byte stream and ends in itself.
pub fn from_access_units(
    config: Config,
    observer: impl Observer + 'static,
) -> Result<gst::Bin, Error> {
    let observer: Shared = Arc::new(Mutex::new(observer));
    let units = element("capsfilter")?;
    units.set_property("caps", access_units("byte-stream"));
    finish(config, &observer, &[units])
}

fn access_units(format: &str) -> gst::Caps {
    gst::Caps::builder("video/x-h264")
        .field("stream-format", format)
        .field("alignment", "au")
        .build()
}

fn finish(config: Config, observer: &Shared, head: &[gst::Element]) -> Result<gst::Bin, Error> {
    let mut chain = head.to_vec();
    let decoder = decoder(config)?;
    chain.push(decoder.clone());
    let mut delivered = decoder;
    if config.sync {
        delivered = element("clocksync")?;
        chain.push(delivered.clone());
    }
    chain.push(element("videoconvert")?);
    let i420 = element("capsfilter")?;
    i420.set_property(
        "caps",
        gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .build(),
    );
    chain.push(i420.clone());
    let sink = element("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    sink.set_property("qos", false);
    sink.set_property("enable-last-sample", false);
    chain.push(sink);

    observe(&delivered, &i420, observer, config.stamp_clock)?;

    let bin = gst::Bin::new();
    bin.add_many(&chain)?;
    gst::Element::link_many(&chain)?;
    let sink = pad(&chain[0], "sink")?;
    let ghost = gst::GhostPad::builder_with_target(&sink)?
        .name("sink")
        .build();
    bin.add_pad(&ghost)?;
    Ok(bin)
}

fn decoder(config: Config) -> Result<gst::Element, Error> {
    let decoder = element("avdec_h264")?;
    let threads = i32::try_from(config.threads)
        .map_err(|_| Error::Build(format!("{} decoder threads", config.threads)))?;
    decoder.set_property("max-threads", threads);
    decoder.set_property_from_str("thread-type", &config.thread_type.to_string());
    decoder.set_property("output-corrupt", false);
    // A picture that is late is still a picture of the measurement.
    decoder.set_property("qos", false);
    // The choice of the element depends on whether the source is live, and its strict mode refuses sound streams.
    decoder.set_property_from_str("std-compliance", "normal");
    decoder.set_property("automatic-request-sync-points", true);
    decoder.set_property(
        "min-force-key-unit-interval",
        gst::ClockTime::from_mseconds(200).nseconds(),
    );
    Ok(decoder)
}

fn pad(element: &gst::Element, name: &str) -> Result<gst::Pad, Error> {
    element
        .static_pad(name)
        .ok_or_else(|| Error::Build(format!("{} has no pad {name}", element.name())))
}

/// Reports packets, and writes on each access unit which packets it was made of.
fn tag_access_units(depay: &gst::Element, observer: &Shared, config: Config) -> Result<(), Error> {
    let clock = config.clock;
    let tags = Arc::new(Mutex::new(Tags::default()));

    let (of_packets, told) = (Arc::clone(&tags), Arc::clone(observer));
    pad(depay, "sink")?.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| {
            let at = clock();
            let mut tags = of_packets.lock();
            let mut observer = told.lock();
            let mut one = |buffer: &gst::BufferRef| {
                if let Some(arrival) = arrival(buffer, at) {
                    tags.packet(buffer.pts(), arrival);
                    observer.packet(arrival);
                }
            };
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => one(buffer),
                Some(gst::PadProbeData::BufferList(list)) => list.iter().for_each(one),
                _ => {}
            }
            gst::PadProbeReturn::Ok
        },
    );

    // Who waits for presentation times lets frames wait on purpose.
    let live = (!config.sync).then(|| Mutex::new(Live::default()));
    let (begun, told) = (Instant::now(), Arc::clone(observer));
    pad(depay, "src")?.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| {
            let tags = tags.lock();
            // Whether it is to be decoded.
            let tag = |buffer: &mut gst::BufferRef| {
                let Some(origin) = tags.origin(buffer.pts()) else {
                    return true;
                };
                let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                let now_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                let fate = live
                    .as_ref()
                    .map(|live| live.lock().frame(origin.rtp_timestamp, is_key, now_us));
                if let Some(Fate::Drop { ask }) = fate {
                    told.lock().dropped(ask);
                    return false;
                }
                write_origin(buffer, origin);
                true
            };
            let keep = match &mut info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => tag(buffer.make_mut()),
                Some(gst::PadProbeData::BufferList(list)) => {
                    list.make_mut().foreach_mut(|mut buffer, _| {
                        let keep = tag(buffer.make_mut());
                        std::ops::ControlFlow::Continue(keep.then_some(buffer))
                    });
                    true
                }
                _ => true,
            };
            if keep {
                gst::PadProbeReturn::Ok
            } else {
                crate::DROPPED
            }
        },
    );
    Ok(())
}

fn arrival(buffer: &gst::BufferRef, at: UnixMicros) -> Option<Arrival> {
    let map = buffer.map_readable().ok()?;
    let packet = rtp::Packet::new(&map).ok()?;
    Some(Arrival {
        rtp_timestamp: packet.timestamp(),
        sequence: packet.sequence(),
        marker: packet.marker(),
        begins: h264::starts_picture(packet.payload()),
        at,
    })
}

/// Reads the clock where a picture is delivered, and shows it where it is surely I420: without a conversion both are
/// one instant, and with one the conversion is not counted as decoding.
fn observe(
    delivered: &gst::Element,
    i420: &gst::Element,
    observer: &Shared,
    clock: fn() -> UnixMicros,
) -> Result<(), Error> {
    let at = Arc::new(AtomicU64::new(0));
    let write = Arc::clone(&at);
    pad(delivered, "src")?.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        write.store(clock().0, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });

    let observer = Arc::clone(observer);
    let known: Mutex<Option<(gst::Caps, gst_video::VideoInfo)>> = Mutex::new(None);
    pad(i420, "src")?.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &info.data else {
            return gst::PadProbeReturn::Ok;
        };
        let Some(caps) = pad.current_caps() else {
            return gst::PadProbeReturn::Ok;
        };
        let mut known = known.lock();
        if known.as_ref().is_none_or(|(seen, _)| *seen != caps) {
            *known = gst_video::VideoInfo::from_caps(&caps)
                .ok()
                .map(|info| (caps, info));
        }
        if let Some((_, info)) = known.as_ref()
            && let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info)
        {
            observer.lock().picture(&Picture {
                frame: &frame,
                decoded: UnixMicros(at.load(Ordering::Relaxed)),
                origin: read_origin(buffer),
                pts: buffer.pts(),
            });
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Packets by presentation time: all packets of one frame have the same, and so has their access unit.
#[derive(Debug, Default)]
struct Tags {
    frames: VecDeque<(Option<gst::ClockTime>, Origin)>,
    last: Option<Arrival>,
}

impl Tags {
    fn packet(&mut self, pts: Option<gst::ClockTime>, arrival: Arrival) {
        let received = arrival.marker.then_some(arrival.at);
        let mut damaged = false;
        if let Some(last) = self.last.replace(arrival) {
            let step = arrival.sequence.wrapping_sub(last.sequence);
            // The jitter buffer has put them in order: a step back is a sender that began anew.
            if (2..0x8000).contains(&step) {
                let is_same = last.rtp_timestamp == arrival.rtp_timestamp;
                damaged = is_same || !arrival.begins;
                if let Some((_, origin)) = self.frames.back_mut() {
                    origin.damaged |= is_same || !last.marker;
                }
            }
        }
        let known = self
            .frames
            .iter_mut()
            .rev()
            .find(|(_, origin)| origin.rtp_timestamp == arrival.rtp_timestamp);
        if let Some((_, origin)) = known {
            origin.received = origin.received.or(received);
            origin.damaged |= damaged;
            return;
        }
        if self.frames.len() == TAGS {
            self.frames.pop_front();
        }
        let rtp_timestamp = arrival.rtp_timestamp;
        self.frames.push_back((
            pts,
            Origin {
                rtp_timestamp,
                received,
                damaged,
            },
        ));
    }

    fn origin(&self, pts: Option<gst::ClockTime>) -> Option<Origin> {
        pts?;
        let known = self.frames.iter().rev().find(|(of, _)| *of == pts)?;
        Some(known.1)
    }
}

/// Set in the time of the meta where packets of the picture never came.
const DAMAGED: u64 = 1 << 32;

/// Names the clock of the meta: the RTP timestamp stands in its time, the arrival of the marker packet in its duration.
static REFERENCE: LazyLock<gst::Caps> =
    LazyLock::new(|| gst::Caps::builder("timestamp/x-xrbench-rtp").build());

fn write_origin(buffer: &mut gst::BufferRef, origin: Origin) {
    let damaged = if origin.damaged { DAMAGED } else { 0 };
    let timestamp = gst::ClockTime::from_nseconds(u64::from(origin.rtp_timestamp.0) | damaged);
    let received = origin
        .received
        .map(|at| gst::ClockTime::from_nseconds(at.0));
    gst::ReferenceTimestampMeta::add(buffer, &REFERENCE, timestamp, received);
}

fn read_origin(buffer: &gst::BufferRef) -> Option<Origin> {
    let meta = buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| meta.reference() == REFERENCE.as_ref())?;
    let time = meta.timestamp().nseconds();
    Some(Origin {
        rtp_timestamp: RtpTimestamp(u32::try_from(time & !DAMAGED).ok()?),
        received: meta.duration().map(|at| UnixMicros(at.nseconds())),
        damaged: time & DAMAGED != 0,
    })
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
