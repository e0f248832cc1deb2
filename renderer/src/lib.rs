//! xr-renderer: a source becomes stamped, encoded video, pushed to a streamer.
//!
//! [`media::producer`] makes the frames in one thread of its own; [`feed`] brings them to the streamer over HTTP, and
//! loses whole frames rather than time when it cannot. [`floor`] decodes them in this process instead: the least that
//! the codec alone costs.

pub mod app;
pub mod cli;
pub mod feed;
pub mod floor;
mod frames;
pub mod metrics;
