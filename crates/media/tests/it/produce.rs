//! From a source to packets and back to pictures: every packet carries the key that the picture's stamp says.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use media::decode::{self, Picture};
use media::encode::EncoderConfig;
use media::framing::Deframer;
use media::generate::Stamps;
use media::packets::{self, EncodedFrame, ParameterSets};
use media::producer::{Observer, Producer, Skip};
use media::rtp::Packet;
use media::source::Source;
use settings::{Encoder, FrameRate, Preset, Tune, VideoSize};
use stamp::Stamp;
use timeline::{RtpTimestamp, UnixMicros};

const PATIENCE: Duration = Duration::from_secs(20);

#[expect(
    clippy::disallowed_methods,
    reason = "this crate may not use the one that reads the clock for programs"
)]
fn clock() -> UnixMicros {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    UnixMicros(u64::try_from(since.as_micros()).unwrap())
}

struct Watcher {
    generated: Mutex<Vec<Stamp>>,
    skipped: Mutex<u64>,
    forced: Mutex<u64>,
    ended: Mutex<Sender<Result<(), String>>>,
}

impl Observer for Watcher {
    fn skipped(&self, ticks: u64, _: Skip) {
        *self.skipped.lock().unwrap() += ticks;
    }

    fn forced_key_frame(&self) {
        *self.forced.lock().unwrap() += 1;
    }

    fn generated(&self, stamp: Stamp) {
        self.generated.lock().unwrap().push(stamp);
    }

    fn ended(&self, result: Result<(), String>) {
        let _ = self.ended.lock().unwrap().send(result);
    }
}

struct Run {
    producer: Producer,
    frames: Receiver<EncodedFrame>,
    watcher: Arc<Watcher>,
    ended: Receiver<Result<(), String>>,
    sets: ParameterSets,
}

fn start(source: &str, config: &EncoderConfig) -> Run {
    media::init().unwrap();
    let source = Source::open(&source.parse().unwrap(), config.size, 0, 0).unwrap();
    let (sender, frames) = channel();
    let (ended_sender, ended) = channel();
    let watcher = Arc::new(Watcher {
        generated: Mutex::default(),
        skipped: Mutex::default(),
        forced: Mutex::default(),
        ended: Mutex::new(ended_sender),
    });
    let (stamps, sets) = (Stamps::new(), ParameterSets::default());
    let deliver = move |frame| drop(sender.send(frame));
    let tail = packets::tail(config.rtp_mtu, stamps.clone(), sets.clone(), clock, deliver).unwrap();
    let told = Arc::<Watcher>::clone(&watcher);
    let producer = Producer::start(config, source, stamps, clock, &tail, told).unwrap();
    Run {
        producer,
        frames,
        watcher,
        ended,
        sets,
    }
}

fn config() -> EncoderConfig {
    EncoderConfig::new(
        VideoSize::new(640, 360).unwrap(),
        FrameRate::new(60, 1).unwrap(),
    )
}

fn packets_of(frame: &EncodedFrame) -> Vec<Vec<u8>> {
    let mut deframer = Deframer::new(65_535);
    deframer.push(&frame.body);
    let mut packets = Vec::new();
    while let Some(packet) = deframer.next_packet().unwrap() {
        packets.push(packet.to_vec());
    }
    assert_eq!(deframer.pending_bytes(), 0);
    packets
}

/// What was read from each picture, and the timestamp of the packets that it came from.
struct Pictures(Sender<(Option<Stamp>, Option<RtpTimestamp>)>);

impl decode::Observer for Pictures {
    fn picture(&mut self, picture: &Picture<'_>) {
        let stamp = picture
            .luma()
            .and_then(|luma| stamp::read_blocks(&luma).ok());
        let _ = self
            .0
            .send((stamp, picture.origin.map(|origin| origin.rtp_timestamp)));
    }
}

/// Decodes packets with the client's decoder.
fn decode(packets: &[Vec<u8>]) -> Vec<(Option<Stamp>, Option<RtpTimestamp>)> {
    let (sender, pictures) = channel();
    let bin = decode::from_rtp(decode::Config::new(clock), Pictures(sender)).unwrap();
    let caps = gst::Caps::builder("application/x-rtp")
        .field("media", "video")
        .field("clock-rate", 90_000)
        .field("encoding-name", "H264")
        .field("payload", 96)
        .build();
    let head = gst_app::AppSrc::builder()
        .caps(&caps)
        .format(gst::Format::Time)
        .is_live(true)
        .build();
    let pipeline = gst::Pipeline::new();
    pipeline.add(&head).unwrap();
    pipeline.add(&bin).unwrap();
    head.link(&bin).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let first = Packet::new(&packets[0]).unwrap().timestamp();
    for packet in packets {
        let ticks = Packet::new(packet).unwrap().timestamp().ticks_since(first);
        let mut buffer = gst::Buffer::from_slice(packet.clone());
        let nanos = u64::try_from(ticks).unwrap() * 100_000 / 9;
        buffer
            .get_mut()
            .unwrap()
            .set_pts(gst::ClockTime::from_nseconds(nanos));
        head.push_buffer(buffer).unwrap();
    }
    head.end_of_stream().unwrap();
    let message = pipeline.bus().unwrap().timed_pop_filtered(
        gst::ClockTime::from_seconds(20),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    assert_eq!(message.unwrap().type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).unwrap();
    drop((head, bin, pipeline));
    pictures.iter().collect()
}

fn round_trip(source: &str, config: &EncoderConfig) {
    let run = start(source, config);
    let mut frames: Vec<_> = (0..100)
        .map(|_| run.frames.recv_timeout(PATIENCE).unwrap())
        .collect();
    run.producer.control().stop();
    assert_eq!(run.ended.recv_timeout(PATIENCE), Ok(Ok(())));
    drop(run.producer);

    assert!(frames[0].key_frame, "decoding can begin with the first");
    let mut all = Vec::new();
    let mut sequence = None;
    for frame in &frames {
        let packets = packets_of(frame);
        assert_eq!(packets.len(), frame.packets);
        for (index, bytes) in packets.iter().enumerate() {
            let packet = Packet::new(bytes).unwrap();
            assert!(bytes.len() <= config.rtp_mtu as usize);
            assert_eq!(packet.timestamp(), frame.rtp_timestamp);
            assert_eq!(
                packet.marker(),
                index + 1 == packets.len(),
                "the marker ends the frame"
            );
            assert_eq!(packet.payload_type(), 96);
            assert!(sequence.is_none_or(|last: u16| last.wrapping_add(1) == packet.sequence()));
            sequence = Some(packet.sequence());
        }
        all.extend(packets);
        assert_eq!(
            frame.rtp_timestamp,
            RtpTimestamp::from_generated(UnixMicros(frame.stamp.time_us))
        );
        assert!(frame.encoded.0 >= frame.stamp.time_us);
    }
    assert!(run.sets.sprop().is_some_and(|sets| sets.contains(',')));

    // Ticks without a frame leave a gap, and are counted.
    let generated = run.watcher.generated.lock().unwrap();
    let last = generated.last().unwrap();
    assert_eq!(
        u64::from(last.frame) + 1,
        generated.len() as u64 + *run.watcher.skipped.lock().unwrap()
    );
    assert!(frames.iter().all(|frame| generated.contains(&frame.stamp)));

    // Packets come in the order of decoding, pictures in that of showing.
    frames.sort_by_key(|frame| frame.stamp.frame);
    let pictures = decode(&all);
    assert_eq!(pictures.len(), 100);
    for (frame, (read, timestamp)) in frames.iter().zip(pictures) {
        assert_eq!(read, Some(frame.stamp), "what the picture says");
        let key = RtpTimestamp::from_generated(UnixMicros(read.unwrap().time_us));
        assert_eq!(
            timestamp,
            Some(key),
            "the key can be computed from the stamp"
        );
    }
}

#[test]
fn a_hundred_frames_keep_their_names_through_x264() {
    round_trip("test", &config());
}

#[test]
fn a_hundred_frames_keep_their_names_through_openh264() {
    round_trip(
        "test",
        &EncoderConfig {
            encoder: Encoder::OpenH264Enc,
            ..config()
        },
    );
}

#[test]
fn frames_that_x264_holds_back_keep_their_names_too() {
    let config = EncoderConfig {
        tune: Tune::None,
        preset: Preset::VeryFast,
        ..config()
    };
    round_trip("test", &config);
}

#[test]
fn a_key_frame_comes_when_it_is_asked_for() {
    let run = start(
        "test",
        &EncoderConfig {
            gop: 100_000,
            ..config()
        },
    );
    let control = run.producer.control();
    assert!(run.frames.recv_timeout(PATIENCE).unwrap().key_frame);
    for _ in 0..20 {
        assert!(!run.frames.recv_timeout(PATIENCE).unwrap().key_frame);
    }
    for _ in 0..50 {
        control.request_key_frame();
    }
    let next: Vec<_> = (0..30)
        .map(|_| run.frames.recv_timeout(PATIENCE).unwrap().key_frame)
        .collect();
    // Or two, where the test stood still between them.
    let keys = u64::try_from(next.iter().filter(|key| **key).count()).unwrap();
    assert!((1..=2).contains(&keys), "fifty requests are one: {next:?}");
    assert_eq!(*run.watcher.forced.lock().unwrap(), keys);
}

#[test]
fn the_end_of_the_source_ends_the_producer() {
    let run = start(
        "gst:videotestsrc num-buffers=5 ! video/x-raw,width=640,height=360",
        &config(),
    );
    assert_eq!(run.ended.recv_timeout(PATIENCE), Ok(Ok(())));
    drop(run.producer);
    assert_eq!(run.frames.iter().count(), 5, "nothing is lost at the end");
}

#[test]
fn a_source_that_is_too_slow_costs_ticks_and_nothing_else() {
    let run = start(
        "gst:videotestsrc is-live=true ! video/x-raw,framerate=10/1,width=640,height=360",
        &config(),
    );
    for _ in 0..5 {
        run.frames.recv_timeout(PATIENCE).unwrap();
    }
    assert!(
        *run.watcher.skipped.lock().unwrap() >= 15,
        "five of six ticks have no picture"
    );
}
