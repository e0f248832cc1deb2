//! LISP at its boundary: what tshark reads of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod tshark;
