//! Behind the payloader: the packets of one frame are gathered, given the frame's key as their RTP timestamp, and leave
//! together, framed for a feed's body.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use gstreamer as gst;
use gstreamer_app as gst_app;
use stamp::Stamp;
use timeline::{RtpTimestamp, UnixMicros};

use crate::generate::{Clock, Stamps};
use crate::{Error, framing, h264, rtp};

/// A frame, encoded and cut into RTP packets.
#[derive(Clone, Debug)]
pub struct EncodedFrame {
    /// What its picture carries.
    pub stamp: Stamp,
    /// The frame's key, which every one of its packets carries.
    pub rtp_timestamp: RtpTimestamp,
    /// Whether decoding can begin here.
    pub key_frame: bool,
    /// How many packets it is.
    pub packets: usize,
    /// The packets, each after its length (RFC 4571).
    pub body: Bytes,
    /// When its marker packet left the payloader.
    pub encoded: UnixMicros,
}

/// What the payloader learnt of the stream: `sprop-parameter-sets` of RFC 6184, once the first key frame has passed.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets(Arc<OnceLock<String>>);

impl ParameterSets {
    /// The parameter sets, base64 with commas, once they are known.
    pub fn sprop(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// A sink that gathers packets and hands each finished frame to `deliver`, in the streaming thread.
pub(crate) fn sink(
    stamps: Stamps,
    sets: ParameterSets,
    clock: Clock,
    mut deliver: impl FnMut(EncodedFrame) + Send + 'static,
) -> gst_app::AppSink {
    let mut gatherer = Gatherer::new(stamps);
    let callbacks = gst_app::AppSinkCallbacks::builder()
        .new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if sets.0.get().is_none()
                && let Some(sprop) = sample.caps().and_then(sprop)
            {
                let _ = sets.0.set(sprop);
            }
            let running_time = |buffer: &gst::BufferRef| {
                let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
                segment.to_running_time(buffer.pts()?)
            };
            let mut take = |buffer: &gst::BufferRef| {
                let Some(finished) = gatherer.take(buffer, running_time(buffer)) else {
                    return;
                };
                deliver(finished.into_frame(clock()));
            };
            match (sample.buffer_list(), sample.buffer()) {
                (Some(list), _) => list.iter().for_each(&mut take),
                (None, Some(buffer)) => take(buffer),
                (None, None) => {}
            }
            Ok(gst::FlowSuccess::Ok)
        })
        .build();
    gst_app::AppSink::builder()
        .name("packets")
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .qos(false)
        .buffer_list(true)
        .callbacks(callbacks)
        .build()
}

fn sprop(caps: &gst::CapsRef) -> Option<String> {
    caps.structure(0)?
        .get::<String>("sprop-parameter-sets")
        .ok()
}

/// The frame that is being gathered.
struct Gatherer {
    stamps: Stamps,
    pending: Option<Pending>,
}

struct Pending {
    running_time: gst::ClockTime,
    stamp: Stamp,
    rtp_timestamp: RtpTimestamp,
    key_frame: bool,
    packets: usize,
    body: BytesMut,
}

impl Gatherer {
    const fn new(stamps: Stamps) -> Self {
        Self {
            stamps,
            pending: None,
        }
    }

    /// Takes one packet; returns the frame if the packet was its last.
    fn take(
        &mut self,
        buffer: &gst::BufferRef,
        running_time: Option<gst::ClockTime>,
    ) -> Option<Pending> {
        let running_time = running_time?;
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.running_time != running_time)
        {
            tracing::warn!("the payloader ended a frame without a marker; the frame is dropped");
            self.pending = None;
        }
        if self.pending.is_none() {
            self.pending = Pending::new(running_time, &self.stamps);
        }
        let pending = self.pending.as_mut()?;
        let map = buffer.map_readable().ok()?;
        match pending.append(&map) {
            Ok(false) => None,
            Ok(true) => self.pending.take(),
            Err(cause) => {
                tracing::warn!(cause, "the payloader made no RTP packet; it is dropped");
                None
            }
        }
    }
}

impl Pending {
    fn new(running_time: gst::ClockTime, stamps: &Stamps) -> Option<Self> {
        let Some(stamp) = stamps.find(running_time) else {
            tracing::warn!(%running_time, "a frame left the encoder that nobody stamped; it is dropped");
            return None;
        };
        Some(Self {
            running_time,
            stamp,
            rtp_timestamp: RtpTimestamp::from_generated(UnixMicros(stamp.time_us)),
            key_frame: false,
            packets: 0,
            body: BytesMut::with_capacity(32 * 1024),
        })
    }

    /// Appends `packet` with our timestamp in it; whether it is the frame's last.
    fn append(&mut self, packet: &[u8]) -> Result<bool, String> {
        let parsed = rtp::Packet::new(packet).map_err(|error| error.to_string())?;
        let (marker, key) = (parsed.marker(), h264::starts_key_frame(parsed.payload()));
        let start = self.body.len() + 2;
        framing::append(&mut self.body, packet).map_err(|error| error.to_string())?;
        rtp::PacketMut::new(&mut self.body[start..])
            .map_err(|error| error.to_string())?
            .set_timestamp(self.rtp_timestamp);
        self.key_frame |= key;
        self.packets += 1;
        Ok(marker)
    }

    fn into_frame(self, encoded: UnixMicros) -> EncodedFrame {
        EncodedFrame {
            stamp: self.stamp,
            rtp_timestamp: self.rtp_timestamp,
            key_frame: self.key_frame,
            packets: self.packets,
            body: self.body.freeze(),
            encoded,
        }
    }
}

/// The elements behind the encoder that make packets of its access units: payloader, then sink.
pub fn tail(
    rtp_mtu: u32,
    stamps: Stamps,
    sets: ParameterSets,
    clock: Clock,
    deliver: impl FnMut(EncodedFrame) + Send + 'static,
) -> Result<Vec<gst::Element>, Error> {
    use gst::prelude::Cast;
    let sink = sink(stamps, sets, clock, deliver);
    Ok(vec![crate::encode::payloader(rtp_mtu)?, sink.upcast()])
}
