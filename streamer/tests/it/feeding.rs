//! Feeds: packets from a real encoder, sent as a renderer sends them.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

pub(crate) const RTP: &str =
    "application/x-rtp-stream; media=video; clock-rate=90000; encoding-name=H264; payload=96";

/// A request whose body goes on.
pub(crate) struct Request {
    pub(crate) stream: TcpStream,
}

impl Request {
    pub(crate) fn begin(
        http: SocketAddr,
        name: &str,
        kind: Option<&str>,
        token: Option<&str>,
    ) -> Self {
        let mut stream = TcpStream::connect(http).unwrap();
        stream.set_nodelay(true).unwrap();
        let kind = kind.map_or(String::new(), |kind| format!("Content-Type: {kind}\r\n"));
        let token = token.map_or(String::new(), |token| {
            format!("Authorization: Bearer {token}\r\n")
        });
        let head = format!(
            "PUT /feeds/{name} HTTP/1.1\r\nHost: x\r\n{kind}{token}Transfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, body: &[u8]) -> std::io::Result<()> {
        let mut chunk = format!("{:x}\r\n", body.len()).into_bytes();
        chunk.extend(body);
        chunk.extend(b"\r\n");
        self.stream.write_all(&chunk)
    }

    /// Ends the body, and reads the answer.
    pub(crate) fn end(mut self) -> (u16, String) {
        let _ = self.stream.write_all(b"0\r\n\r\n");
        super::server::answer(&mut self.stream)
    }
}

/// An encoder that feeds a name until it is stopped.
pub(crate) struct Feed {
    pipeline: gst::Pipeline,
    request: Arc<Mutex<Option<Request>>>,
    pub(crate) timestamps: Arc<Mutex<HashSet<u32>>>,
    stopped: Arc<AtomicBool>,
}

impl Feed {
    /// Feeds `name` with pictures of `width` x `height`, 30 a second, a key frame every `gop`; obeys requests for more.
    pub(crate) fn start(
        http: SocketAddr,
        name: &str,
        (width, height): (u32, u32),
        gop: u32,
        bitrate_kbit: u32,
    ) -> Self {
        gst::init().unwrap();
        let pattern = if bitrate_kbit > 5000 { "snow" } else { "ball" };
        let launch = format!(
            "videotestsrc is-live=true pattern={pattern} ! video/x-raw,width={width},height={height},framerate=30/1 ! \
             x264enc name=encoder tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={bitrate_kbit} ! \
             rtph264pay mtu=1150 config-interval=-1 aggregate-mode=zero-latency pt=96 ! \
             appsink name=sink sync=false async=false buffer-list=true"
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
        let request = Arc::new(Mutex::new(Some(Request::begin(
            http,
            name,
            Some(RTP),
            Some("secret"),
        ))));
        let timestamps = Arc::new(Mutex::new(HashSet::new()));
        let (out, seen) = (Arc::clone(&request), Arc::clone(&timestamps));
        let sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let list = sample.buffer_list_owned();
            let mut body = BytesMut::new();
            for buffer in list
                .iter()
                .flat_map(|list| list.iter())
                .chain(sample.buffer())
            {
                let map = buffer.map_readable().unwrap();
                let packet = media::rtp::Packet::new(&map).unwrap();
                seen.lock().unwrap().insert(packet.timestamp().0);
                media::framing::append(&mut body, &map).unwrap();
            }
            if let Some(request) = out.lock().unwrap().as_mut() {
                let _ = request.send(&body);
            }
            Ok(gst::FlowSuccess::Ok)
        };
        sink.set_callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(sample)
                .build(),
        );
        pipeline.set_state(gst::State::Playing).unwrap();
        Self {
            pipeline,
            request,
            timestamps,
            stopped: Arc::default(),
        }
    }

    /// Makes a key frame whenever the streamer asks; asks again while the streamer knows of no feed.
    pub(crate) fn obey(&self, http: SocketAddr, name: &str) {
        let request = format!("GET /feeds/{name}/events HTTP/1.1\r\nHost: x\r\n\r\n");
        let (encoder, stopped) = (
            self.pipeline.by_name("encoder").unwrap(),
            Arc::clone(&self.stopped),
        );
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok(mut stream) = TcpStream::connect(http) else {
                    return;
                };
                let _ = stream.write_all(request.as_bytes());
                for line in BufReader::new(stream).lines() {
                    match line.as_deref() {
                        Ok("event: keyframe") => {
                            let force = gst::Structure::builder("GstForceKeyUnit")
                                .field("all-headers", true)
                                .build();
                            encoder.send_event(gst::event::CustomUpstream::new(force));
                        }
                        Ok(line) if !line.contains(" 404 ") => {}
                        _ => break,
                    }
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
    }

    /// Ends the feed cleanly; the streamer's answer.
    pub(crate) fn stop(self) -> (u16, String) {
        self.pipeline.set_state(gst::State::Null).unwrap();
        let request = self.request.lock().unwrap().take().unwrap();
        request.end()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// A frame of one RTP packet, framed.
pub(crate) fn framed(sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    packet(sequence, timestamp, true, payload)
}

/// One RTP packet, framed; the last of its frame if `marker` is set.
pub(crate) fn packet(sequence: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, u8::from(marker) << 7 | 0x60];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend([9; 4]);
    packet.extend(payload);
    let mut framed = u16::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(packet);
    framed
}
