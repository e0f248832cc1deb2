//! LISP at its boundary: what tshark reads of it, the control plane as a process, and Debian's Open Overlay Router as its peer.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod kill;
mod oor;
mod process;
mod program;
mod tshark;
mod xtr;
