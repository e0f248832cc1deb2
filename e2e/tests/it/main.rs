//! Tests over whole processes, one binary. Each module says what belongs in it.

#![expect(
    clippy::unwrap_used,
    reason = "what helpers of a test unwrap, the test asserts"
)]

mod another_server;
mod bad_input;
#[expect(dead_code, reason = "the page's own test looks at it in more ways")]
#[path = "../../../measure/xrbench/tests/page/browser.rs"]
mod browser;
mod cli;
mod collected;
mod drain;
mod encrypted;
mod faults;
mod house;
mod interop;
mod labs;
mod lisp;
mod pipeline;
mod prometheus;
mod quic;
mod resilience;
mod run;
mod soak;
mod terminal;
mod tools;
