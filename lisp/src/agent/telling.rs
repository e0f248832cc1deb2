//! What an agent says of its requests, for whoever measures.

use super::clock::nanos;
use super::machine::{Done, Locators, Request};
use crate::told::{Told, monotonic_ns};

/// Says that a request was made, so long before its answer.
pub(super) fn tell(done: &Done) {
    let answering_ns = nanos(done.answered);
    let at_ns = monotonic_ns().saturating_sub(answering_ns);
    match done.request {
        Request::Set(_, Locators::Here) => Told::Registered {
            at_ns,
            noticing_ns: nanos(done.noticed),
            answering_ns,
            service: done.service.clone(),
        },
        Request::Set(..) | Request::Release | Request::Conflict(_) => Told::Withdrawn { at_ns },
    }
    .say();
}
