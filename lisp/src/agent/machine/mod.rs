//! What the agent of a cluster does: Services, endpoints, probes and answers come in with the time, and requests to the control plane
//! and probes come out. No socket, no clock.

mod agent;
mod endpoints;
mod event;
mod service;
#[cfg(test)]
mod tests;

pub(crate) use agent::Agent;
pub(crate) use event::{
    Config, Done, Input, Locators, Output, Probing, Request, Result, SliceName, Target,
};
