//! Reads the stamps of kept strips, or of a video file, with Tesseract: after the run, on all cores, one engine a worker.
//!
//! This is the papers' way to a latency, and it audits how ours is read: the blocks give the live number, the digits must say the
//! same. It is no audit of the instants: blocks and digits are drawn from the same stamp. An image holds two lines, generation above consumption. What a line must look like to count as read is in
//! [`rule`]; everything else is *unread* and counted.
//!
//! Tesseract's own threads make it slower when several engines run side by side, and the variable that turns them off
//! (`OMP_THREAD_LIMIT`) is read when the library is loaded. So a worker is a process: this program, started again with
//! that variable set (`worker`), fed with one image at a time (`pool`). A crash of the library then costs one image.

pub mod bench;
pub mod cli;
mod engine;
pub mod folder;
pub mod pgm;
mod pool;
pub mod rule;
mod shrink;
pub mod table;
mod video;
pub mod worker;

pub use folder::{Options, read_repetition};
pub use rule::{Kind, Status};
#[doc(hidden)]
pub use video::pictures;
pub use video::{BAND_HEIGHT, BAND_WIDTH, ffmpeg_file};
