//! Nothing is held back, and every picture knows its packets.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use gstreamer_app as gst_app;

use super::*;

/// Longer than a busy machine takes for one picture.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Tell {
    pictures: Sender<(UnixMicros, Option<Origin>, (u32, u32))>,
    packets: Sender<Arrival>,
}

impl Observer for Tell {
    fn packet(&mut self, arrival: Arrival) {
        self.packets.send(arrival).unwrap();
    }

    fn picture(&mut self, picture: &Picture<'_>) {
        assert!(picture.luma().is_some());
        let size = (picture.frame.width(), picture.frame.height());
        self.pictures
            .send((picture.decoded, picture.origin, size))
            .unwrap();
    }
}

struct Rig {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    pictures: Receiver<(UnixMicros, Option<Origin>, (u32, u32))>,
    packets: Receiver<Arrival>,
}

fn clock() -> UnixMicros {
    UnixMicros(42)
}

fn rig(before: &str, format: &str, make: fn(Config, Tell) -> Result<gst::Bin, Error>) -> Rig {
    crate::init().unwrap();
    let (pictures, shown) = mpsc::channel();
    let (packets, arrived) = mpsc::channel();
    let decoder = make(Config::new(clock), Tell { pictures, packets }).unwrap();
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", format)
        .field("width", 640)
        .field("height", 360)
        .field("framerate", gst::Fraction::new(30, 1))
        .build();
    let source = gst_app::AppSrc::builder()
        .caps(&caps)
        .format(gst::Format::Time)
        .build();
    let encode = gst::parse::bin_from_description(before, true).unwrap();
    let pipeline = gst::Pipeline::new();
    pipeline.add(&source).unwrap();
    pipeline.add_many([&encode, &decoder]).unwrap();
    gst::Element::link_many([
        source.upcast_ref::<gst::Element>(),
        encode.upcast_ref(),
        decoder.upcast_ref(),
    ])
    .unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    Rig {
        pipeline,
        source,
        pictures: shown,
        packets: arrived,
    }
}

impl Rig {
    fn push(&self, frame: u64, bytes: usize) {
        let mut buffer =
            gst::Buffer::from_mut_slice(vec![u8::try_from(frame * 20).unwrap(); bytes]);
        let writable = buffer.get_mut().unwrap();
        writable.set_pts(gst::ClockTime::from_mseconds(frame * 33));
        writable.set_duration(gst::ClockTime::from_mseconds(33));
        self.source.push_buffer(buffer).unwrap();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

const ENCODE: &str = "x264enc tune=zerolatency speed-preset=ultrafast threads=1";
const PAY: &str =
    "rtph264pay mtu=600 aggregate-mode=zero-latency config-interval=-1 timestamp-offset=0";

#[test]
fn each_access_unit_becomes_a_picture_before_the_next_comes() {
    let rig = rig(ENCODE, "I420", from_access_units);
    for frame in 0..8 {
        rig.push(frame, 640 * 360 * 3 / 2);
        let (decoded, origin, size) = rig.pictures.recv_timeout(PATIENCE).expect("held back");
        assert_eq!((decoded, origin, size), (UnixMicros(42), None, (640, 360)));
    }
}

#[test]
fn each_picture_knows_its_packets() {
    let rig = rig(&format!("{ENCODE} ! {PAY}"), "I420", from_rtp);
    for frame in 0..8 {
        rig.push(frame, 640 * 360 * 3 / 2);
        let (_, origin, _) = rig.pictures.recv_timeout(PATIENCE).expect("held back");
        let packets: Vec<_> = rig.packets.try_iter().collect();
        let last = packets.last().unwrap();
        assert!(
            last.marker
                && packets
                    .iter()
                    .all(|packet| packet.rtp_timestamp == last.rtp_timestamp)
        );
        assert_eq!(
            origin,
            Some(Origin {
                rtp_timestamp: last.rtp_timestamp,
                received: Some(UnixMicros(42)),
                damaged: false,
            })
        );
    }
}

/// The payloader repeats the parameter sets before each slice of a key frame, in the middle of the picture.
#[test]
fn a_key_frame_of_several_slices_is_one_picture() {
    let encode = "x264enc tune=zerolatency speed-preset=ultrafast sliced-threads=true threads=4 key-int-max=1";
    let rig = rig(&format!("{encode} ! {PAY}"), "I420", from_rtp);
    for frame in 0..4 {
        rig.push(frame, 640 * 360 * 3 / 2);
        rig.pictures.recv_timeout(PATIENCE).expect("held back");
    }
    rig.source.end_of_stream().unwrap();
    let bus = rig.pipeline.bus().unwrap();
    bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos])
        .expect("the end");
    assert_eq!(
        rig.pictures.try_iter().count(),
        0,
        "a picture was cut apart"
    );
}

#[test]
fn a_picture_with_full_colour_is_converted() {
    let rig = rig(ENCODE, "Y444", from_access_units);
    rig.push(1, 640 * 360 * 3);
    assert_eq!(rig.pictures.recv_timeout(PATIENCE).unwrap().2, (640, 360));
}

#[test]
fn a_picture_of_which_packets_never_came_is_damaged() {
    // Of three frames of four packets each, these are lost; the frames that are damaged.
    let cases: [(&[u16], [bool; 3]); 6] = [
        (&[], [false, false, false]),
        (&[5], [false, true, false]),
        (&[7], [false, true, false]),
        (&[4], [false, true, false]),
        (&[3, 4], [true, true, false]),
        (&[4, 5, 6, 7], [false, false, false]),
    ];
    for (lost, damaged) in cases {
        let mut tags = Tags::default();
        let pts = |frame: u16| Some(gst::ClockTime::from_mseconds(u64::from(frame)));
        for sequence in (0..12_u16).filter(|sequence| !lost.contains(sequence)) {
            let frame = sequence / 4;
            let arrival = Arrival {
                rtp_timestamp: RtpTimestamp(u32::from(frame) * 3_600),
                sequence,
                marker: sequence % 4 == 3,
                begins: sequence % 4 == 0,
                at: UnixMicros(42),
            };
            tags.packet(pts(frame), arrival);
        }
        for (frame, damaged) in (0..).zip(damaged) {
            let origin = tags.origin(pts(frame));
            let is_damaged = origin.is_some_and(|origin| origin.damaged);
            assert_eq!(is_damaged, damaged, "frame {frame} without {lost:?}");
        }
    }
}

#[test]
fn a_lost_marker_leaves_the_arrival_unknown() {
    let arrival = |timestamp, marker, at| Arrival {
        rtp_timestamp: RtpTimestamp(timestamp),
        sequence: 0,
        marker,
        begins: true,
        at: UnixMicros(at),
    };
    let pts = |frame| Some(gst::ClockTime::from_mseconds(frame));
    let mut tags = Tags::default();
    tags.packet(pts(1), arrival(90, false, 10));
    tags.packet(pts(2), arrival(180, false, 20));
    tags.packet(pts(2), arrival(180, true, 30));
    let origin = |frame| tags.origin(pts(frame));
    assert_eq!(origin(1).unwrap().received, None);
    assert_eq!(
        origin(2),
        Some(Origin {
            rtp_timestamp: RtpTimestamp(180),
            received: Some(UnixMicros(30)),
            damaged: false,
        })
    );
    assert_eq!(origin(3), None);
    assert_eq!(tags.origin(None), None);
}
