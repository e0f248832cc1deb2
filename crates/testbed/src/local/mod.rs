//! Two clusters on this machine, from network namespaces.
//!
//! A [`topology::Topology`] says what there is to be; [`isolate`] gives the program a place of its own; a [`lab::Lab`] makes the
//! topology there and takes it down; [`mod@print`] shows it as text; [`capabilities`] says what this machine can.

pub mod capabilities;
pub mod capture;
pub mod command;
mod configure;
pub mod fabric;
mod files;
pub mod isolate;
pub mod lab;
mod lab_error;
mod outage;
pub mod plan;
pub mod print;
mod receive_buffer;
pub mod too_big;
pub mod topology;
mod watch;
