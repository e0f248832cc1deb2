//! A stamped test stream on a real RTSP server, in a process of its own: this test binary, started again.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp as gst_rtsp;
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stamp::{PlaneMut, Stamp};
use timeline::{RtpTimestamp, UnixMicros};

/// The size of the test stream.
pub(crate) const WIDTH: usize = 640;
pub(crate) const HEIGHT: usize = 360;

/// Frames a second of the test stream.
pub(crate) const FPS: u64 = 30;

/// What the server does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// 0 takes a free one.
    pub(crate) port: u16,
    /// Refuse UDP.
    pub(crate) tcp_only: bool,
    /// Leave these frame numbers out, as a feed that is gone for a while.
    pub(crate) silent: Option<(u32, u32)>,
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    options: Options,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let silent = options.silent.unwrap_or_default();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "server::serves_until_it_is_killed",
            ])
            .env("TEST_PORT", options.port.to_string())
            .env("TEST_TCP_ONLY", options.tcp_only.to_string())
            .env("TEST_SILENT", format!("{} {}", silent.0, silent.1))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let port = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("listening on ")
                    .map(|(_, port)| port.parse::<u16>().unwrap())
            })
            .expect("the server says where it listens");
        Self {
            child,
            port,
            options,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/test", self.port)
    }

    /// SIGKILL, and the same server again on the same port.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        *self = Self::start(Options {
            port: self.port,
            ..self.options
        });
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it as a machine that is gone does: no packet, no answer, no reset.
    pub(crate) fn freeze(&self) {
        kill(self.pid(), Signal::SIGSTOP).unwrap();
    }

    pub(crate) fn thaw(&self) {
        kill(self.pid(), Signal::SIGCONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the server process, which the tests start"]
fn serves_until_it_is_killed() {
    let env =
        |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is set by Server::start"));
    let silent: Vec<u32> = env("TEST_SILENT")
        .split(' ')
        .map(|word| word.parse().unwrap())
        .collect();

    gst::init().unwrap();
    let factory = gst_rtsp_server::RTSPMediaFactory::new();
    factory.set_launch(&format!(
        "( videotestsrc is-live=true pattern=ball ! \
         video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 ! \
         x264enc name=encoder tune=zerolatency speed-preset=ultrafast bitrate=2000 key-int-max=30 threads=2 ! \
         rtph264pay name=pay0 pt=96 mtu=1150 config-interval=-1 aggregate-mode=zero-latency )"
    ));
    factory.set_shared(true);
    factory.set_latency(0);
    if env("TEST_TCP_ONLY") == "true" {
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::TCP);
    }
    factory.connect_media_configure(move |_, media| {
        stamp_frames(&media.element(), (silent[0], silent[1]));
        media.connect_new_state(|media, _| {
            for index in 0..media.n_streams() {
                let bin = media.stream(index).and_then(|stream| stream.joined_bin());
                let sinks = bin.map(|bin| bin.iterate_all_by_element_factory_name("multiudpsink"));
                sinks
                    .into_iter()
                    .flatten()
                    .flatten()
                    .for_each(|sink| sink.set_property("sync", false));
                let bin = media.stream(index).and_then(|stream| stream.joined_bin());
                let sinks = bin.map(|bin| bin.iterate_all_by_element_factory_name("appsink"));
                sinks
                    .into_iter()
                    .flatten()
                    .flatten()
                    .for_each(|sink| sink.set_property("sync", false));
            }
        });
    });
    let server = gst_rtsp_server::RTSPServer::new();
    server.set_address("127.0.0.1");
    server.set_service(&env("TEST_PORT"));
    server.mount_points().unwrap().add_factory("/test", factory);
    let _source = server.attach(None).unwrap();
    println!("listening on {}", server.bound_port());
    gst::glib::MainLoop::new(None, false).run();
}

/// Draws stamps in front of the encoder, and writes the key that each implies on the frame's packets.
fn stamp_frames(element: &gst::Element, silent: (u32, u32)) {
    let bin = element.downcast_ref::<gst::Bin>().unwrap();
    let x264 = bin.by_name("encoder").unwrap();
    let waiting = Arc::new(Mutex::new(VecDeque::<Stamp>::new()));
    let keys = Arc::new(Mutex::new(
        VecDeque::<(Option<gst::ClockTime>, RtpTimestamp)>::new(),
    ));

    let drawn = Arc::clone(&waiting);
    let next_frame = Mutex::new(0);
    let sink = x264.static_pad("sink").unwrap();
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else {
            unreachable!()
        };
        let mut next_frame = next_frame.lock().unwrap();
        let frame = *next_frame;
        *next_frame += 1;
        if (silent.0..silent.1).contains(&frame) {
            return gst::PadProbeReturn::Drop;
        }
        drawn
            .lock()
            .unwrap()
            .push_back(draw(buffer.make_mut(), frame));
        gst::PadProbeReturn::Ok
    });

    // The encoder moves the presentation times, but it takes and gives frames one for one.
    let encoded = Arc::clone(&keys);
    let source = x264.static_pad("src").unwrap();
    source.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &info.data else {
            unreachable!()
        };
        let stamp = waiting.lock().unwrap().pop_front().unwrap();
        let mut encoded = encoded.lock().unwrap();
        encoded.push_back((
            buffer.pts(),
            RtpTimestamp::from_generated(UnixMicros(stamp.time_us)),
        ));
        if encoded.len() > 64 {
            encoded.pop_front();
        }
        gst::PadProbeReturn::Ok
    });

    let pay = bin.by_name("pay0").unwrap().static_pad("src").unwrap();
    let types = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pay.add_probe(types, move |_, info| {
        let keys = keys.lock().unwrap();
        let patch = |buffer: &mut gst::BufferRef| {
            let pts = buffer.pts();
            let (_, key) = keys.iter().find(|(of, _)| *of == pts).unwrap();
            let mut map = buffer.map_writable().unwrap();
            media::rtp::PacketMut::new(&mut map)
                .unwrap()
                .set_timestamp(*key);
        };
        match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => patch(buffer.make_mut()),
            Some(gst::PadProbeData::BufferList(list)) => {
                list.make_mut().foreach_mut(|mut buffer, _| {
                    patch(buffer.make_mut());
                    std::ops::ControlFlow::Continue(Some(buffer))
                });
            }
            _ => unreachable!(),
        }
        gst::PadProbeReturn::Ok
    });
}

fn draw(buffer: &mut gst::BufferRef, frame: u32) -> Stamp {
    let mut map = buffer.map_writable().unwrap();
    let (luma, chroma) = map.split_at_mut(WIDTH * HEIGHT);
    let (u, v) = chroma.split_at_mut(WIDTH * HEIGHT / 4);
    for plane in [u, v] {
        stamp::clear_chroma(&mut PlaneMut::new(plane, WIDTH / 2, HEIGHT / 2, WIDTH / 2).unwrap());
    }
    let stamp = Stamp {
        frame,
        time_us: service::clock::now().0,
    };
    stamp::draw_generation(
        &mut PlaneMut::new(luma, WIDTH, HEIGHT, WIDTH).unwrap(),
        stamp,
    );
    stamp
}
