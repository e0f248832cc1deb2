//! The client: an RTSP player that is an instrument.
//!
//! ```text
//!  link (when)                           +- report - frames.csv, collector
//!    |                                   |
//! driver -> session ------------> player +- strips (for OCR)
//!  (does)   incoming -> decode           |
//!           (rtspsrc)   (media)          +- screen: window, recording
//! ```
//!
//! [`link`] is the pure state machine that decides when to connect; [`driver`] does what it says; a [`session`] is one
//! pipeline, whose packets come from an [`incoming`] stream. The [`player`] outlives sessions: it reads, stamps and shows
//! each picture in the streaming thread, in well under half a millisecond, and hands everything that writes or sends to a
//! thread or task behind a bounded queue.

pub mod app;
pub mod cli;
pub mod driver;
pub mod frames;
pub mod incoming;
pub mod link;
pub mod metrics;
pub mod player;
pub mod rekey;
pub mod resume;
pub mod screen;
pub mod session;
pub mod strips;
pub mod summary;
pub mod track;
pub mod upload;
pub mod user;
