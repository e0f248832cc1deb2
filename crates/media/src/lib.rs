//! GStreamer building blocks that renderer, streamer and client share, and the only user of GStreamer beside them.
//!
//! A renderer's way: [`source`] yields pictures, [`pace`] says when one is due, [`generate`] draws the stamp, [`encode`]
//! and [`packets`] make a frame's RTP packets, framed for a feed's body by [`framing`]; [`producer`] is the pipeline that
//! joins them; [`record`] brings a frame's packets to an RTSP server. A client's way: [`decode`].
//!
//! No clock is read here but through a function that the caller passes, so that a program's stamps all come from one
//! place.

pub mod bus;
pub mod decode;
mod element;
pub mod encode;
pub mod framing;
pub mod generate;
pub mod h264;
mod live;
pub mod pace;
pub mod packets;
pub mod producer;
pub mod record;
pub mod rtp;
pub mod source;

use gstreamer as gst;

pub use element::{Error, element, init};

/// The answer of a pad probe that keeps what passes from going on.
///
/// The binding gives what a probe does not let pass back by itself. After `Drop` GStreamer 1.22 does so as well, finds nothing,
/// and logs that as an error; after `Handled` it leaves that to the probe.
pub const DROPPED: gst::PadProbeReturn = gst::PadProbeReturn::Handled;
