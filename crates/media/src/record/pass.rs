//! What stands where `rtspclientsink` expects a payloader: RTP packets pass it as they are.

use std::sync::OnceLock;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer::subclass::prelude::*;

use crate::Error;

/// The payload type of every feed.
pub(super) const PAYLOAD_TYPE: u32 = 96;

glib::wrapper! {
    /// An element that lets RTP packets pass unchanged in the place of a payloader.
    pub struct PassThrough(ObjectSubclass<Inner>) @extends gst::Bin, gst::Element, gst::Object;
}

impl PassThrough {
    pub(super) fn element() -> Result<gst::Element, Error> {
        let pass: Self = glib::Object::new();
        let inside = crate::element("identity")?;
        pass.add(&inside)?;
        for name in ["sink", "src"] {
            let Some(target) = inside.static_pad(name) else {
                return Err(Error::Build(format!("identity has no pad {name}")));
            };
            let pad = gst::GhostPad::builder_with_target(&target)?
                .name(name)
                .build();
            pass.add_pad(&pad)?;
        }
        Ok(pass.upcast())
    }
}

#[derive(Debug, Default)]
pub struct Inner;

#[glib::object_subclass]
impl ObjectSubclass for Inner {
    const NAME: &'static str = "XrRtpPassThrough";
    type Type = PassThrough;
    type ParentType = gst::Bin;
}

impl ObjectImpl for Inner {
    /// What `rtspclientsink` asks of a payloader, and sets.
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: OnceLock<Vec<glib::ParamSpec>> = OnceLock::new();
        PROPERTIES.get_or_init(|| {
            let payload_type = glib::ParamSpecUInt::builder("pt")
                .maximum(127)
                .default_value(PAYLOAD_TYPE)
                .blurb("Payload type; what is set is not used, because packets pass as they are")
                .build();
            vec![payload_type]
        })
    }

    fn property(&self, _: usize, _: &glib::ParamSpec) -> glib::Value {
        PAYLOAD_TYPE.to_value()
    }

    fn set_property(&self, _: usize, _: &glib::Value, _: &glib::ParamSpec) {}
}

impl GstObjectImpl for Inner {}
impl ElementImpl for Inner {}
impl BinImpl for Inner {}
