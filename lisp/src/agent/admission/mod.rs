//! What becomes of a Service that is created or changed: bodies of `AdmissionReviews` in, questions to the control plane and bodies out.

mod judge;
mod step;
#[cfg(test)]
mod tests;

pub(crate) use judge::{Phase, Rules, begin};
#[cfg(test)]
pub(crate) use step::Judging;
pub(crate) use step::{Answered, Question, Step};
