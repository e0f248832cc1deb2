//! The element named `pay0` in every media: it stands where an RTSP server expects a payloader, and passes RTP packets
//! through as they are.
//!
//! It has no thread and no queue of its own. A frame is pushed from the feed's thread down to the viewers' sockets, as
//! one buffer list, while the media plays; otherwise it is let go, since nobody watches.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;
use parking_lot::Mutex;

use crate::feed::Feed;
use crate::feed::outlet::{Numbered, Outlet, Stream};
use crate::feed::sequence::PAYLOAD_TYPE;

glib::wrapper! {
    /// A GStreamer element that takes a feed's frames into a viewer's pipeline.
    pub struct RelaySource(ObjectSubclass<Inner>) @extends gst::Element, gst::Object;
}

impl RelaySource {
    /// The element for a media of `feed`.
    pub fn new(feed: &Arc<Feed>) -> Self {
        let source: Self = glib::Object::builder().property("name", "pay0").build();
        // A new object has none yet.
        let _ = source.imp().feed.set(Arc::clone(feed));
        source
    }

    /// From now on the media lets frames through.
    pub fn open(&self) {
        self.imp().open.store(true, Ordering::Release);
    }
}

/// The feed's way to an element, for as long as the element wants frames.
#[derive(Debug)]
struct Way(glib::WeakRef<RelaySource>);

impl Outlet for Way {
    fn push(&self, frame: &Numbered) {
        if let Some(source) = self.0.upgrade() {
            source.imp().push(frame);
        }
    }
}

/// The RTP caps of `stream`, from which the RTSP server writes the SDP.
fn caps(stream: &Stream) -> gst::Caps {
    let mut caps = gst::Caps::builder("application/x-rtp")
        .field("media", "video")
        .field("clock-rate", timeline::ids::RTP_CLOCK_HZ.cast_signed())
        .field("encoding-name", "H264")
        .field("payload", i32::from(PAYLOAD_TYPE))
        .field("packetization-mode", "1")
        .field("sprop-parameter-sets", stream.sets.sprop())
        // RFC 4585 has it for the AVPF profile only; with AVP every client can play, and those that can give feedback do.
        .field("rtcp-fb-nack-pli", true)
        .field("ssrc", stream.ssrc);
    if let Some(level) = stream.sets.profile_level_id() {
        caps = caps.field("profile-level-id", level);
    }
    caps.build()
}

#[derive(Debug)]
pub struct Inner {
    feed: OnceLock<Arc<Feed>>,
    way: Mutex<Option<Arc<Way>>>,
    pad: gst::Pad,
    /// Set when a viewer plays; frames before that would block at the media's closed pads.
    open: AtomicBool,
    started: Mutex<bool>,
    /// What the media's caps say.
    told: Mutex<Option<Arc<Stream>>>,
    /// Presentation time of the last frame: the server asserts that it never goes back.
    last: Mutex<gst::ClockTime>,
    mtu: AtomicU32,
}

impl Inner {
    fn push(&self, frame: &Numbered) {
        if !self.open.load(Ordering::Acquire) {
            return;
        }
        if self.is_news(&frame.stream) {
            // For the SDP of viewers to come; those who watch get the parameter sets in band.
            self.pad
                .push_event(gst::event::Caps::new(&caps(&frame.stream)));
        }
        let time = self.time();
        let mut list = gst::BufferList::new_sized(frame.packets.len());
        {
            let list = list.get_mut().expect("a new list has one owner");
            for packet in frame.packets.iter() {
                let mut buffer = gst::Buffer::from_slice(packet.clone());
                buffer
                    .get_mut()
                    .expect("a new buffer has one owner")
                    .set_pts(time);
                list.add(buffer);
            }
        }
        match self.pad.push_list(list) {
            Ok(_) | Err(gst::FlowError::Flushing | gst::FlowError::Eos) => {}
            Err(error) => {
                if let Some(feed) = self.feed.get() {
                    feed.counters().unpushed.inc();
                    tracing::debug!(feed = %feed.name(), ?error, "a media did not take a frame");
                }
            }
        }
    }

    fn is_news(&self, stream: &Arc<Stream>) -> bool {
        let mut told = self.told.lock();
        let same = told.as_ref().is_some_and(|told| Arc::ptr_eq(told, stream));
        if !same {
            *told = Some(Arc::clone(stream));
        }
        !same
    }

    fn time(&self) -> gst::ClockTime {
        let now = self
            .obj()
            .current_running_time()
            .unwrap_or(gst::ClockTime::ZERO);
        let mut last = self.last.lock();
        *last = now.max(*last);
        *last
    }

    /// Tells the media what is coming. Its pads are closed until a viewer plays, and the gap waits there for that, which
    /// is what the server takes as the sign that the media is prepared: no packet is needed, so a name whose feed is
    /// gone can be described too. It waits on a thread of its own.
    fn announce(&self) {
        let mut started = self.started.lock();
        let Some(feed) = self.feed.get() else { return };
        if std::mem::replace(&mut *started, true) {
            return;
        }
        let Some(stream) = feed.stream().borrow().clone() else {
            return;
        };
        *self.told.lock() = Some(Arc::clone(&stream));
        let (pad, time) = (self.pad.clone(), self.time());
        let announce = move || {
            let id = format!("xr-streamer/{:08x}", stream.ssrc);
            pad.push_event(
                gst::event::StreamStart::builder(&id)
                    .group_id(gst::GroupId::next())
                    .build(),
            );
            pad.push_event(gst::event::Caps::new(&caps(&stream)));
            pad.push_event(gst::event::Segment::new(&gst::FormattedSegment::<
                gst::ClockTime,
            >::new()));
            pad.push_event(gst::event::Gap::new(time, gst::ClockTime::NONE));
        };
        if let Err(error) = std::thread::Builder::new()
            .name("announce".into())
            .spawn(announce)
        {
            tracing::warn!(feed = %feed.name(), %error, "no thread to prepare a media with");
        }
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Latency(latency) = query.view_mut() {
            latency.set(true, gst::ClockTime::ZERO, gst::ClockTime::NONE);
            return true;
        }
        gst::Pad::query_default(&self.pad, Some(&*self.obj()), query)
    }

    fn event(&self, event: gst::Event) -> bool {
        // RTCP PLI and FIR of a viewer arrive as this event.
        if event
            .structure()
            .is_some_and(|structure| structure.name() == "GstForceKeyUnit")
        {
            if let Some(feed) = self.feed.get() {
                feed.wish_keyframe();
            }
            return true;
        }
        gst::Pad::event_default(&self.pad, Some(&*self.obj()), event)
    }
}

#[glib::object_subclass]
impl ObjectSubclass for Inner {
    const NAME: &'static str = "XrRelaySource";
    type Type = RelaySource;
    type ParentType = gst::Element;

    fn with_class(class: &Self::Class) -> Self {
        let template = class
            .pad_template("src")
            .expect("the template is registered below");
        let pad = gst::Pad::builder_from_template(&template)
            .query_function(|_, parent, query| {
                Self::catch_panic_pad_function(parent, || false, |this| this.query(query))
            })
            .event_function(|_, parent, event| {
                Self::catch_panic_pad_function(parent, || false, |this| this.event(event))
            })
            .flags(gst::PadFlags::FIXED_CAPS)
            .build();
        Self {
            feed: OnceLock::new(),
            way: Mutex::default(),
            pad,
            open: AtomicBool::new(false),
            started: Mutex::new(false),
            told: Mutex::new(None),
            last: Mutex::new(gst::ClockTime::ZERO),
            mtu: AtomicU32::new(1400),
        }
    }
}

impl ObjectImpl for Inner {
    fn constructed(&self) {
        self.parent_constructed();
        let element = self.obj();
        element.set_element_flags(gst::ElementFlags::SOURCE);
        element
            .add_pad(&self.pad)
            .expect("a new element has no pad");
    }

    /// What an RTSP server looks for in a payloader.
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
        PROPERTIES.get_or_init(|| {
            vec![
                glib::ParamSpecUInt::builder("pt")
                    .maximum(127)
                    .blurb("Payload type")
                    .build(),
                glib::ParamSpecUInt::builder("mtu")
                    .default_value(1400)
                    .blurb("Set by the server; not used")
                    .build(),
                glib::ParamSpecUInt::builder("seqnum")
                    .maximum(65_535)
                    .blurb("Next sequence number")
                    .read_only()
                    .build(),
                glib::ParamSpecUInt::builder("timestamp")
                    .blurb("Last RTP timestamp")
                    .read_only()
                    .build(),
                glib::ParamSpecInt::builder("seqnum-offset")
                    .minimum(-1)
                    .maximum(65_535)
                    .default_value(-1)
                    .blurb("Set by the server; not used: numbers belong to the feed's name")
                    .build(),
            ]
        })
    }

    fn property(&self, _: usize, spec: &glib::ParamSpec) -> glib::Value {
        let (next, last) = self
            .feed
            .get()
            .map(|feed| feed.position())
            .unwrap_or_default();
        match spec.name() {
            "pt" => u32::from(PAYLOAD_TYPE).to_value(),
            "mtu" => self.mtu.load(Ordering::Relaxed).to_value(),
            "seqnum" => u32::from(next).to_value(),
            "timestamp" => last.0.to_value(),
            _ => (-1_i32).to_value(),
        }
    }

    fn set_property(&self, _: usize, value: &glib::Value, spec: &glib::ParamSpec) {
        if let ("mtu", Ok(mtu)) = (spec.name(), value.get::<u32>()) {
            self.mtu.store(mtu, Ordering::Relaxed);
        }
    }
}

impl GstObjectImpl for Inner {}

impl ElementImpl for Inner {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
        Some(METADATA.get_or_init(|| {
            gst::subclass::ElementMetadata::new(
                "Relay source",
                "Source/Network/RTP",
                "Passes the RTP packets of a feed to the viewers of its name",
                "xrbench",
            )
        }))
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
        TEMPLATES.get_or_init(|| {
            let caps = gst::Caps::new_empty_simple("application/x-rtp");
            let template = gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &caps,
            )
            .expect("name, direction and caps fit");
            vec![template]
        })
    }

    fn change_state(
        &self,
        change: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        use gst::StateChange::{PausedToPlaying, PausedToReady, PlayingToPaused, ReadyToPaused};
        if matches!(change, PlayingToPaused | PausedToReady) {
            self.open.store(false, Ordering::Release);
        }
        let done = self.parent_change_state(change)?;
        match change {
            ReadyToPaused => {
                let feed = self.feed.get().ok_or(gst::StateChangeError)?;
                let way = Arc::new(Way(self.obj().downgrade()));
                feed.attach(&way);
                *self.way.lock() = Some(way);
                Ok(gst::StateChangeSuccess::NoPreroll)
            }
            PausedToPlaying => {
                self.announce();
                Ok(done)
            }
            PlayingToPaused => Ok(gst::StateChangeSuccess::NoPreroll),
            PausedToReady => {
                // Without waiting for a push, which may be what this has to end.
                self.way.lock().take();
                *self.started.lock() = false;
                Ok(done)
            }
            _ => Ok(done),
        }
    }
}
