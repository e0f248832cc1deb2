//! xrbench: runs scenarios, collects what every process saw of every frame, reads the stamps, and reports latency.
//!
//! It links no media framework, so that it builds and runs anywhere: where it must read video it starts ffmpeg. The
//! subcommands meet only in the folder of a result ([`result`]), which is written as a run goes.

pub mod app;
pub mod calibrate;
pub mod cli;
pub mod doctor;
pub mod lab;
pub mod lisp_agent;
pub mod reference;
pub mod run;
pub mod scenario;
pub mod wan;
