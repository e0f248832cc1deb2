//! LISP at its boundary: what tshark reads of it, the control plane as a process, and Debian's Open Overlay Router as its peer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod agents;
mod datagrams;
mod kill;
mod namespaces;
mod oor;
mod process;
mod program;
mod together;
mod tshark;
mod xtr;
