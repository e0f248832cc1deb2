//! RTSP RECORD (RFC 2326 section 10.11): pushes frames to any RTSP server that takes them, as the RTP packets that they
//! already are.
//!
//! ```text
//! push() -> appsrc -> rtspclientsink ( pass-through instead of a payloader -> RTSP connection )
//! ```
//!
//! `rtspclientsink` wants to pay by itself, which would give the frames timestamps of its own. So it is given, in the
//! place of a payloader, an element that lets packets pass as they are: what leaves carries each frame's key. Packets
//! travel interleaved on the RTSP connection: like a feed over HTTP, none is lost on the way to the server.

mod pass;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::bus::{self, BusEvent};
use crate::framing::Deframer;
use crate::rtp::{Packet, PacketMut};
use crate::{Error, element};

/// The longest packet that is taken, in bytes: more than any `--rtp-mtu`.
const MAX_PACKET_BYTES: usize = 16 * 1024;

/// A session that records. Dropping it ends the session, which waits for the server's answer.
#[derive(Debug)]
pub struct Recorder {
    pipeline: gst::Pipeline,
    head: gst_app::AppSrc,
    deframer: Deframer,
    /// Of the next packet. Frames that were dropped before they came here leave no gap for the server to wait at.
    sequence: u16,
}

impl Recorder {
    /// Begins a session at `url` for packets like those in `first`, framed as in a feed's body; how that goes, `report` hears.
    /// `sprop` are the parameter sets (RFC 6184), as far as they are known. `room` is called whenever the connection can take a frame, and `ask` when the server asks for a key
    /// frame (RTCP PLI or FIR); both from other threads.
    pub fn open(
        url: &str,
        first: &[u8],
        sprop: Option<&str>,
        report: impl Fn(BusEvent) + Send + Sync + 'static,
        room: impl Fn() + Send + Sync + 'static,
        ask: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let head = gst_app::AppSrc::builder()
            .name("packets")
            .caps(&caps(source_of(first), sprop))
            .format(gst::Format::Time)
            .is_live(true)
            // A frame is given when one is asked for, so what is in the queue is one frame at most.
            .max_bytes(0)
            .callbacks(
                gst_app::AppSrcCallbacks::builder()
                    .need_data(move |_, _| room())
                    .build(),
            )
            .build();
        let sink = element("rtspclientsink")?;
        sink.set_property("location", url);
        sink.set_property_from_str("protocols", "tcp");
        // Nobody waits here for packets in order: they come from one thread.
        sink.set_property("latency", 0_u32);
        sink.set_property(
            "user-agent",
            concat!("xr-renderer/", env!("CARGO_PKG_VERSION")),
        );
        let Some(entrance) = sink.request_pad_simple("sink_0") else {
            return Err(Error::Build("rtspclientsink takes no stream".to_owned()));
        };
        entrance.set_property("payloader", pass::PassThrough::element()?);

        let pipeline = gst::Pipeline::new();
        pipeline.add_many([head.upcast_ref(), &sink])?;
        let Some(exit) = head.static_pad("src") else {
            return Err(Error::Build("appsrc has no source pad".to_owned()));
        };
        exit.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            let wish = info.event().and_then(|event| event.structure());
            if wish.is_some_and(|event| event.name() == "GstForceKeyUnit") {
                ask();
            }
            gst::PadProbeReturn::Ok
        });
        exit.link(&entrance).map_err(|error| {
            Error::Build(format!("rtspclientsink does not take RTP packets: {error}"))
        })?;
        bus::watch(&pipeline, report);
        let recorder = Self {
            pipeline,
            head,
            deframer: Deframer::new(MAX_PACKET_BYTES),
            sequence: 0,
        };
        match recorder.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(recorder),
            Err(error) => Err(Error::Start(error.to_string())),
        }
    }

    /// Pushes the packets of one frame, framed as in a feed's body. False once the session has ended.
    ///
    /// # Panics
    /// Never: a list of packets that was just made has one owner.
    pub fn push(&mut self, body: &[u8]) -> bool {
        self.deframer.push(body);
        let time = self.head.current_running_time();
        let mut frame = gst::BufferList::new();
        let list = frame.get_mut().expect("a new list has one owner");
        // What the encoder's tail framed is whole and short; the rest of something else is not sent.
        while let Ok(Some(packet)) = self.deframer.next_packet() {
            let mut packet = packet.to_vec();
            if let Ok(mut header) = PacketMut::new(&mut packet) {
                header.set_sequence(self.sequence);
                self.sequence = self.sequence.wrapping_add(1);
            }
            let mut buffer = gst::Buffer::from_mut_slice(packet);
            buffer
                .get_mut()
                .expect("a new buffer has one owner")
                .set_pts(time);
            list.add(buffer);
        }
        self.head.push_buffer_list(frame).is_ok()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        bus::unwatch(&self.pipeline);
        // Nothing is left that could be told of a failure to stop.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The synchronisation source of the first packet.
fn source_of(body: &[u8]) -> Option<u32> {
    let mut deframer = Deframer::new(MAX_PACKET_BYTES);
    deframer.push(body);
    let packet = deframer.next_packet().ok()??;
    Packet::new(&packet).ok().map(Packet::ssrc)
}

fn caps(source: Option<u32>, sprop: Option<&str>) -> gst::Caps {
    let mut caps = gst::Caps::builder("application/x-rtp")
        .field("media", "video")
        .field("clock-rate", timeline::ids::RTP_CLOCK_HZ.cast_signed())
        .field("encoding-name", "H264")
        .field("payload", pass::PAYLOAD_TYPE.cast_signed())
        .field("packetization-mode", "1");
    // GStreamer's own server fails an assertion where the SDP does not say it.
    if let Some(source) = source {
        caps = caps.field("ssrc", source);
    }
    if let Some(sets) = sprop {
        caps = caps.field("sprop-parameter-sets", sets);
    }
    caps.build()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn the_session_is_described_by_the_first_packet() {
        crate::init().unwrap();
        let mut body = BytesMut::new();
        crate::framing::append(
            &mut body,
            &[0x80, 96, 0, 1, 0, 0, 0, 2, 0xca, 0xfe, 0, 3, 0x65],
        )
        .unwrap();
        assert_eq!(source_of(&body), Some(0xcafe_0003));
        let caps = caps(source_of(&body), Some("Z0I=,aM4="));
        let described = caps.structure(0).unwrap();
        assert_eq!(described.get::<u32>("ssrc"), Ok(0xcafe_0003));
        assert_eq!(
            described.get::<&str>("sprop-parameter-sets"),
            Ok("Z0I=,aM4=")
        );
        assert_eq!(source_of(b"nonsense"), None);
    }

    #[test]
    fn a_server_that_is_not_there_is_an_end_with_its_cause() {
        crate::init().unwrap();
        let (told, heard) = std::sync::mpsc::channel();
        let body = [0_u8, 13, 0x80, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x65];
        // Port 9 of the loopback is `discard`, which nothing serves.
        let opened = Recorder::open(
            "rtsp://127.0.0.1:9/xr",
            &body,
            None,
            move |event| drop(told.send(event)),
            || {},
            || {},
        );
        let mut recorder = opened.unwrap();
        assert!(recorder.push(&body));
        let patience = std::time::Duration::from_secs(10);
        let failed = std::iter::from_fn(|| heard.recv_timeout(patience).ok())
            .find_map(|event| match event {
                BusEvent::Failed(error) => Some(error),
                _ => None,
            })
            .expect("the session fails");
        assert!(failed.cause.contains("connect"), "{failed}");
    }
}
