//! A stamped test stream on a real RTSP server of GStreamer's, without a renderer and a streamer: what the client's tests
//! play, and what a client can be tried on by hand. `listening on PORT` is its first line; it serves `/test` on loopback
//! until it is killed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's server that cannot go on panics, and says on its output where it listens"
)]

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_rtsp as gst_rtsp;
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use stamp::{PlaneMut, Stamp};
use timeline::{RtpTimestamp, UnixMicros};

/// Serves a stamped test stream on rtsp://127.0.0.1:PORT/test.
#[derive(Debug, Parser)]
struct Args {
    /// Where it listens; 0 takes a free port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Refuse UDP.
    #[arg(long)]
    tcp_only: bool,
    /// Leave out the frames from FIRST to before END, as a feed that is gone for a while.
    #[arg(long, num_args = 2, value_names = ["FIRST", "END"], default_values_t = [0, 0])]
    silent: Vec<u32>,
    /// Picture width and height in pixels.
    #[arg(long, num_args = 2, value_names = ["WIDTH", "HEIGHT"], default_values_t = [640, 360])]
    size: Vec<usize>,
    /// Frames a second.
    #[arg(long, default_value_t = 30)]
    fps: u32,
    /// Frames from one key frame to the next that nobody asked for.
    #[arg(long, default_value_t = 30)]
    gop: u32,
    /// Offer a second video, which nobody stamped.
    #[arg(long)]
    twice: bool,
    /// Serve whoever is this user only, by Digest.
    #[arg(long, num_args = 2, value_names = ["USER", "PASSWORD"])]
    user: Vec<String>,
    /// Ask for the user by Basic.
    #[arg(long, requires = "user")]
    basic: bool,
    /// Certificate chain and private key in PEM: it then speaks TLS only, at rtsps://127.0.0.1:PORT/test.
    #[arg(long, num_args = 2, value_names = ["CHAIN", "KEY"])]
    tls: Vec<PathBuf>,
}

/// What whoever may watch is called inside of the server.
const ROLE: &str = "viewer";

fn main() {
    let args = Args::parse();
    let (fps, gop) = (args.fps, args.gop);
    let (silent, size) = (
        (args.silent[0], args.silent[1]),
        (args.size[0], args.size[1]),
    );

    gst::init().unwrap();
    let factory = gst_rtsp_server::RTSPMediaFactory::new();
    let second = if args.twice {
        "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! x264enc tune=zerolatency ! rtph264pay name=pay1 pt=97"
    } else {
        ""
    };
    factory.set_launch(&format!(
        "( videotestsrc is-live=true pattern=ball ! \
         video/x-raw,format=I420,width={},height={},framerate={fps}/1 ! \
         x264enc name=encoder tune=zerolatency speed-preset=ultrafast bitrate=2000 key-int-max={gop} threads=2 ! \
         rtph264pay name=pay0 pt=96 mtu=1150 config-interval=-1 aggregate-mode=zero-latency {second} )",
        size.0, size.1
    ));
    factory.set_shared(true);
    factory.set_latency(0);
    if args.tcp_only {
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::TCP);
    }
    factory.connect_media_configure(move |_, media| {
        stamp_frames(&media.element(), silent, size);
        media.connect_new_state(|media, _| {
            for index in 0..media.n_streams() {
                for factory in ["multiudpsink", "appsink"] {
                    let bin = media.stream(index).and_then(|stream| stream.joined_bin());
                    let sinks = bin.map(|bin| bin.iterate_all_by_element_factory_name(factory));
                    sinks
                        .into_iter()
                        .flatten()
                        .flatten()
                        .for_each(|sink| sink.set_property("sync", false));
                }
            }
        });
    });
    factory.add_role_from_structure(
        &gst::Structure::builder(ROLE)
            .field(gst_rtsp_server::RTSP_PERM_MEDIA_FACTORY_ACCESS, true)
            .field(gst_rtsp_server::RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, true)
            .build(),
    );
    let server = gst_rtsp_server::RTSPServer::new();
    if !args.user.is_empty() || !args.tls.is_empty() {
        server.set_auth(Some(&access(&args)));
    }
    server.set_address("127.0.0.1");
    server.set_service(&args.port.to_string());
    server.mount_points().unwrap().add_factory("/test", factory);
    let _source = server.attach(None).unwrap();
    println!("listening on {}", server.bound_port());
    gst::glib::MainLoop::new(None, false).run();
}

/// Who may watch, and the certificate that the server shows.
fn access(args: &Args) -> gst_rtsp_server::RTSPAuth {
    let auth = gst_rtsp_server::RTSPAuth::new();
    let mut viewer = gst_rtsp_server::RTSPToken::builder()
        .field(gst_rtsp_server::RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
        .build();
    match args.user.as_slice() {
        [user, password] if args.basic => {
            let basic = gst_rtsp_server::RTSPAuth::make_basic(user, password);
            auth.add_basic(&basic, &viewer);
        }
        [user, password] => {
            auth.set_supported_methods(gst_rtsp::RTSPAuthMethod::Digest);
            auth.add_digest(user, password, &viewer);
        }
        _ => auth.set_default_token(Some(&mut viewer)),
    }
    if let [chain, key] = args.tls.as_slice() {
        let certificate = gio::TlsCertificate::from_files(chain, key).unwrap();
        auth.set_tls_certificate(Some(&certificate));
    }
    auth
}

/// Draws stamps in front of the encoder, and writes the key that each implies on the frame's packets.
fn stamp_frames(element: &gst::Element, silent: (u32, u32), size: (usize, usize)) {
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
            return media::DROPPED;
        }
        drawn
            .lock()
            .unwrap()
            .push_back(draw(buffer.make_mut(), frame, size));
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
    take_picture_losses(&pay);
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

/// Says in the SDP that viewers may ask for a key frame, as xr-streamer does.
fn take_picture_losses(pay: &gst::Pad) {
    pay.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        let caps = info.event().and_then(|event| match event.view() {
            gst::EventView::Caps(caps) => Some(caps.caps_owned()),
            _ => None,
        });
        if let Some(mut caps) = caps {
            caps.make_mut().set("rtcp-fb-nack-pli", true);
            info.data = Some(gst::PadProbeData::Event(gst::event::Caps::new(&caps)));
        }
        gst::PadProbeReturn::Ok
    });
}

fn draw(buffer: &mut gst::BufferRef, frame: u32, (width, height): (usize, usize)) -> Stamp {
    let mut map = buffer.map_writable().unwrap();
    let (luma, chroma) = map.split_at_mut(width * height);
    let (u, v) = chroma.split_at_mut(width * height / 4);
    for plane in [u, v] {
        stamp::clear_chroma(&mut PlaneMut::new(plane, width / 2, height / 2, width / 2).unwrap());
    }
    let stamp = Stamp {
        frame,
        time_us: service::clock::now().0,
    };
    stamp::draw_generation(
        &mut PlaneMut::new(luma, width, height, width).unwrap(),
        stamp,
    );
    stamp
}
