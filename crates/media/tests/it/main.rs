//! The crate at its boundary: frames are produced, cut into packets, and decoded again, by the real elements.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod produce;
