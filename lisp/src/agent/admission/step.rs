//! The steps of a judgement: a question to the control plane, an answer to the API server, or none.

use std::net::IpAddr;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview};
use serde_json::json;

use crate::services::ServiceName;

/// Asks the control plane for the address of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) service: ServiceName,
    /// The pool that the Service names.
    pub(crate) pool: Option<String>,
    /// The review is a dry run: it only asks which address the Service has, or would get.
    pub(crate) dry_run: bool,
}

/// The control plane's answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Address(IpAddr),
    /// There is no address, and there will be none if asked again.
    Refused {
        status: u16,
        why: String,
    },
    /// The control plane was not reached, or does not work.
    Not(String),
}

/// The use of the address in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The Service gets the address.
    Give,
    /// The Service may have this one if it is the same, and is to be asked for again if this is no dry run.
    Compare { wanted: IpAddr, book: bool },
    /// The Service may have this one: it was booked.
    Pass(IpAddr),
}

/// A judgement that waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Judging {
    pub(super) response: AdmissionResponse,
    pub(super) question: Question,
    pub(super) then: Then,
}

/// The next step of a judgement.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Ask(Box<Judging>),
    Answer(Box<AdmissionReview<DynamicObject>>),
    /// The failure policy of the webhook is to decide, because of this.
    Fail(String),
}

impl Step {
    pub(super) fn allow(request: &AdmissionRequest<DynamicObject>) -> Self {
        Self::Answer(Box::new(AdmissionResponse::from(request).into_review()))
    }

    pub(super) fn deny(response: AdmissionResponse, status: u16, why: impl ToString) -> Self {
        let mut response = response.deny(why);
        response.result.code = status;
        Self::Answer(Box::new(response.into_review()))
    }
}

impl Judging {
    /// The question to ask the control plane.
    pub(crate) const fn question(&self) -> &Question {
        &self.question
    }

    /// Goes on with the answer.
    pub(crate) fn answered(self, answered: Answered) -> Step {
        let address = match answered {
            Answered::Address(address) => address,
            Answered::Refused { status, why } => return Step::deny(self.response, status, why),
            Answered::Not(why) => return Step::Fail(why),
        };
        match self.then {
            Then::Give => self.give(address),
            Then::Compare { wanted, book } if wanted == address && book => {
                Step::Ask(Box::new(Self {
                    question: Question {
                        dry_run: false,
                        ..self.question
                    },
                    then: Then::Pass(wanted),
                    response: self.response,
                }))
            }
            Then::Compare { wanted, .. } | Then::Pass(wanted) if wanted == address => {
                Step::Answer(Box::new(self.response.into_review()))
            }
            Then::Compare { wanted, .. } | Then::Pass(wanted) => {
                let name = self.question.service;
                let why = format!(
                    "{wanted} is not the address of {name}, which is {address} in every cluster: leave spec.clusterIP out, and it is set; \
                     another one can be reserved in the control plane's file"
                );
                Step::deny(self.response, 409, why)
            }
        }
    }

    fn give(self, address: IpAddr) -> Step {
        let add = |key, value| {
            PatchOperation::Add(AddOperation {
                path: PointerBuf::from_tokens(["spec", key]),
                value,
            })
        };
        let patch = Patch(vec![
            add("clusterIP", json!(address)),
            add("clusterIPs", json!([address])),
        ]);
        match self.response.with_patch(patch) {
            Ok(response) => Step::Answer(Box::new(response.into_review())),
            Err(error) => Step::Fail(error.to_string()),
        }
    }
}
