//! A frame's journey, as data: who the frame is ([`ids`]), which places it passed and when ([`point`], [`trace`],
//! [`ring`]), and what became of it ([`frame`]). What services and client saw is put together ([`join`]), kept
//! ([`frames_csv`], [`hist`]), and put on one clock ([`clock_exchange`], [`clock_filter`]).
//!
//! This crate is pure. It opens no socket, reads no clock and knows no media framework: every time is an argument, and
//! every file is a `Read` or a `Write` that the caller opened.

#![warn(missing_docs)]

pub mod clock_exchange;
pub mod clock_filter;
pub mod frame;
pub mod frames_csv;
pub mod hist;
pub mod ids;
pub mod join;
pub mod point;
pub mod ring;
pub mod trace;

pub use frame::{FrameReport, Reading};
pub use ids::{ClientName, FrameNumber, RtpTimestamp, UnixMicros};
pub use point::{Point, Stage};
pub use trace::{Crossing, TracePage};
