//! Any bytes as a control message of LISP: what is read is written and read again as it was, a signature holds for its message
//! alone, and a Map-Server and an xTR that take any datagrams stay within their bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../lisp/tests/it/any_datagrams.rs"]
mod any_datagrams;

fuzz_target!(|input: Vec<(bool, u8, u16, Vec<u8>)>| any_datagrams::check(input));
