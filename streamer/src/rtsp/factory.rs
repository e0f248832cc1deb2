//! How the media of a name is made: a bin with the [`RelaySource`], and transports that wait for nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use gio::prelude::*;
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::glib::translate::IntoGlib as _;
use gstreamer::prelude::*;
use gstreamer_net as gst_net;
use gstreamer_rtsp as gst_rtsp;
use gstreamer_rtsp_server as gst_rtsp_server;
use gstreamer_rtsp_server::prelude::*;
use gstreamer_rtsp_server::subclass::prelude::*;
use parking_lot::Mutex;
use roq::peer::Peer;
use timeline::Point;

use super::current::Current;
use super::rtcp::{Guard, Origin};
use super::source::RelaySource;
use super::viewers::Viewers;
use crate::feed::Feed;
use crate::metrics::{Metrics, RtcpDropped};

/// How medias are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether the transports' sinks wait for each frame's time: a frame later, and smoother.
    pub sync: bool,
    /// Latency in milliseconds that the factory is given.
    pub latency_ms: u32,
    /// Send buffer of the UDP sockets, in bytes.
    pub udp_send_buffer: u32,
    /// Ports for viewers on UDP; any free ones if absent.
    pub udp_ports: Option<(u16, u16)>,
}

glib::wrapper! {
    /// Makes the media of one name.
    pub struct FeedFactory(ObjectSubclass<Inner>) @extends gst_rtsp_server::RTSPMediaFactory;
}

impl FeedFactory {
    /// The factory of `feed`.
    pub fn new(
        feed: &Arc<Feed>,
        options: &Options,
        metrics: &Metrics,
        current: &Current,
        viewers: &Viewers,
    ) -> Result<Self, glib::BoolError> {
        let factory: Self = glib::Object::new();
        let context = Context {
            feed: Arc::clone(feed),
            options: options.clone(),
            metrics: metrics.clone(),
            current: current.clone(),
            viewers: viewers.clone(),
        };
        // A new object has none yet.
        let _ = factory.imp().context.set(context);
        factory.set_shared(true);
        factory.set_latency(options.latency_ms);
        factory.set_buffer_size(options.udp_send_buffer);
        factory.set_protocols(gst_rtsp::RTSPLowerTrans::UDP | gst_rtsp::RTSPLowerTrans::TCP);
        factory.set_profiles(gst_rtsp::RTSPProfile::AVP);
        factory.set_suspend_mode(gst_rtsp_server::RTSPSuspendMode::None);
        factory.set_stop_on_disconnect(true);
        if let Some((low, high)) = options.udp_ports {
            let pool = gst_rtsp_server::RTSPAddressPool::new();
            for any in ["0.0.0.0", "::"] {
                pool.add_range(any, any, low, high, 0)?;
            }
            factory.set_address_pool(Some(&pool));
        }
        Ok(factory)
    }
}

#[derive(Debug)]
struct Context {
    feed: Arc<Feed>,
    options: Options,
    metrics: Metrics,
    current: Current,
    viewers: Viewers,
}

#[derive(Debug, Default)]
pub struct Inner {
    context: OnceLock<Context>,
}

#[glib::object_subclass]
impl ObjectSubclass for Inner {
    const NAME: &'static str = "XrFeedFactory";
    type Type = FeedFactory;
    type ParentType = gst_rtsp_server::RTSPMediaFactory;
}

impl ObjectImpl for Inner {}

impl RTSPMediaFactoryImpl for Inner {
    /// One media a name, whatever else stands in the address.
    fn gen_key(&self, _: &gst_rtsp::RTSPUrl) -> Option<glib::GString> {
        let context = self.context.get()?;
        let number = context.current.ask(Instant::now());
        Some(format!("{} {number}", context.feed.name()).into())
    }

    fn create_element(&self, _: &gst_rtsp::RTSPUrl) -> Option<gst::Element> {
        let context = self.context.get()?;
        let bin = gst::Bin::new();
        bin.add(&RelaySource::new(&context.feed)).ok()?;
        Some(bin.upcast())
    }

    fn media_configure(&self, media: &gst_rtsp_server::RTSPMedia) {
        self.parent_media_configure(media);
        let Some(context) = self.context.get() else {
            return;
        };
        context.current.set(media);
        let bin = media.element().downcast::<gst::Bin>().ok();
        let source = bin
            .and_then(|bin| bin.by_name("pay0"))
            .and_downcast::<RelaySource>();
        let pipeline = media.element().parent().and_downcast::<gst::Bin>();
        let (Some(source), Some(pipeline)) = (source, pipeline) else {
            return;
        };
        let source = source.downgrade();
        media.connect_new_state(move |_, state| {
            // The media's pads are open once it plays for its first viewer.
            if let (Some(source), true) =
                (source.upgrade(), state == gst::State::Playing.into_glib())
            {
                source.open();
            }
        });
        let (feed, options, metrics) = (
            Arc::clone(&context.feed),
            context.options.clone(),
            context.metrics.clone(),
        );
        let reports = Reports {
            guard: Arc::default(),
            ssrc: feed.ssrc(),
            viewers: context.viewers.clone(),
            metrics: metrics.clone(),
        };
        pipeline.connect_deep_element_added(move |_, _, element| {
            configure(element, &feed, &options, &reports);
        });
        // A UDP sink that cannot send posts a warning and goes on.
        media.connect_handle_message(Some("warning"), move |_, message| {
            if message
                .src()
                .is_some_and(|source| source.name().starts_with("multiudpsink"))
            {
                metrics.send_errors.inc();
            }
            true
        });
    }
}

/// Sets up what the server adds to a media when a viewer with a new transport comes, before it starts.
fn configure(element: &gst::Element, feed: &Arc<Feed>, options: &Options, reports: &Reports) {
    let Some(factory) = element.factory() else {
        return;
    };
    match factory.name().as_str() {
        "multiudpsink" => wait_for_nothing(element, options.sync),
        "appsink" => {
            wait_for_nothing(element, options.sync);
            super::backlog::stand_before(element, feed);
        }
        "tee" => trace_relayed(element, feed),
        // What viewers send comes from these. One on TCP has the connection's address and a port that says nothing, and a
        // stranger's datagram could come from there as well.
        "udpsrc" => reports.filter(element, |packet| {
            let unknown = SocketAddr::from(([0; 4], 0));
            Origin::Udp(sender(packet).unwrap_or(unknown))
        }),
        "appsrc" => reports.filter(element, |packet| {
            Origin::Tcp(sender(packet).map(|sender| Peer::of(sender.ip())))
        }),
        _ => {}
    }
}

/// Lets only those reports on a name through that a viewer may send.
#[derive(Clone)]
struct Reports {
    guard: Arc<Mutex<Guard>>,
    ssrc: u32,
    viewers: Viewers,
    metrics: Metrics,
}

impl Reports {
    /// Judges what `source` brings; `from` tells where a packet of it came from.
    fn filter(&self, source: &gst::Element, from: fn(&gst::BufferRef) -> Origin) {
        let Some(pad) = source.static_pad("src") else {
            return;
        };
        let reports = self.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let Some(buffer) = info.buffer() else {
                return gst::PadProbeReturn::Ok;
            };
            match reports.judge(buffer, from(buffer)) {
                Ok(()) => gst::PadProbeReturn::Ok,
                Err(reason) => {
                    reports.metrics.drop_rtcp(reason);
                    media::DROPPED
                }
            }
        });
    }

    fn judge(&self, buffer: &gst::BufferRef, from: Origin) -> Result<(), RtcpDropped> {
        let packet = buffer.map_readable().map_err(|_| RtcpDropped::malformed)?;
        let is_viewer = |address| self.viewers.is_reporting(address);
        let mut guard = self.guard.lock();
        guard.admit(&packet, from, Some(self.ssrc), is_viewer, Instant::now())
    }
}

/// Where a datagram came from.
fn sender(packet: &gst::BufferRef) -> Option<SocketAddr> {
    let address = packet.meta::<gst_net::NetAddressMeta>()?.addr();
    let address = address.downcast::<gio::InetSocketAddress>().ok()?;
    let host: IpAddr = address.address().to_str().parse().ok()?;
    Some(SocketAddr::new(host.to_canonical(), address.port()))
}

fn wait_for_nothing(sink: &gst::Element, sync: bool) {
    // A sink that waits for a first buffer would stop a media that plays already.
    sink.set_property("async", false);
    keep(sink, "sync", sync);
    sink.set_property("enable-last-sample", false);
    sink.set_property("qos", false);
}

/// Sets a property and holds it: the server sets some of them again once the element is in its place, and a TCP sink that
/// waits for a frame's time costs 20 ms.
fn keep<T>(element: &gst::Element, name: &'static str, value: T)
where
    T: Into<glib::Value>
        + for<'a> glib::value::FromValue<'a>
        + PartialEq
        + Copy
        + Send
        + Sync
        + 'static,
{
    element.connect_notify(Some(name), move |element, _| {
        if element.property::<T>(name) != value {
            element.set_property(name, value);
        }
    });
    element.set_property(name, value);
}

/// Notes each frame as it goes to the transports. The media's other tee carries RTCP.
fn trace_relayed(tee: &gst::Element, feed: &Arc<Feed>) {
    let Some(pad) = tee.static_pad("sink") else {
        return;
    };
    let feed = Arc::clone(feed);
    pad.add_probe(gst::PadProbeType::BUFFER_LIST, move |_, info| {
        let last = info
            .buffer_list()
            .and_then(|list| list.get(list.len().checked_sub(1)?));
        let header = last.and_then(|buffer| {
            buffer.map_readable().ok().and_then(|map| {
                media::rtp::Packet::new(&map)
                    .ok()
                    .map(media::rtp::Packet::timestamp)
            })
        });
        if let Some(timestamp) = header {
            feed.trace()
                .push(timestamp, Point::Relayed, service::clock::now());
        }
        gst::PadProbeReturn::Ok
    });
}
