//! Viewers: GStreamer's `rtspsrc` as it is, with what it receives noted by packet.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::server::PATIENCE;
use crate::speaking::{Rtsp, session};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) key: bool,
    pub(crate) at: Instant,
}

pub(crate) struct Viewer {
    pipeline: gst::Pipeline,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Viewer {
    pub(crate) fn start(url: &str, transport: &str) -> Self {
        gst::init().unwrap();
        let launch = format!(
            "rtspsrc location={url} protocols={transport} latency=0 buffer-mode=none do-retransmission=false \
             udp-buffer-size=2621440 ! appsink name=sink sync=false async=false"
        );
        let pipeline = gst::parse::launch(&launch)
            .unwrap()
            .downcast::<gst::Pipeline>()
            .unwrap();
        let sink = pipeline
            .by_name("sink")
            .unwrap()
            .downcast::<gst_app::AppSink>()
            .unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&received);
        let sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let map = sample.buffer().unwrap().map_readable().unwrap();
            let packet = media::rtp::Packet::new(&map).unwrap();
            notes.lock().unwrap().push(Received {
                sequence: packet.sequence(),
                timestamp: packet.timestamp().0,
                ssrc: packet.ssrc(),
                key: media::h264::starts_key_frame(packet.payload()),
                at: Instant::now(),
            });
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(sample)
                .build(),
        );
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, received }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits for a packet of which `wanted` holds.
    pub(crate) fn wait(&self, what: &str, wanted: impl Fn(&Received) -> bool) -> Received {
        let begun = Instant::now();
        loop {
            if let Some(found) = self.received().into_iter().find(|packet| wanted(packet)) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Packets that a viewer missed, by their sequence numbers.
pub(crate) fn missed(received: &[Received]) -> u32 {
    received
        .windows(2)
        .map(|pair| {
            u32::from(
                pair[1]
                    .sequence
                    .wrapping_sub(pair[0].sequence)
                    .wrapping_sub(1),
            )
        })
        .sum()
}

/// A viewer on TCP that plays and then reads nothing.
pub(crate) fn deaf(rtsp: SocketAddr, name: &str) -> TcpStream {
    let mut viewer = Rtsp::connect(rtsp);
    let set_up = viewer.setup(name, "RTP/AVP/TCP;unicast;interleaved=0-1", &[]);
    viewer.tell("PLAY", name, &[&session(&set_up)]);
    viewer.stream
}

/// Reads what a viewer on TCP is sent until the connection ends, and passes on the RTP timestamp of each packet.
pub(crate) fn hear(stream: TcpStream, mut packet: impl FnMut(u32) + Send + 'static) {
    use std::io::Read as _;
    let mut stream = std::io::BufReader::new(stream);
    std::thread::spawn(move || {
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() {
            // Between the packets stand answers, which have no dollar sign in them.
            if byte != *b"$" {
                continue;
            }
            let mut head = [0; 3];
            if stream.read_exact(&mut head).is_err() {
                return;
            }
            let mut body = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            if stream.read_exact(&mut body).is_err() {
                return;
            }
            if head[0] == 0 {
                packet(media::rtp::Packet::new(&body).unwrap().timestamp().0);
            }
        }
    });
}
