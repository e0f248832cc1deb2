//! Which Services get an address, which may have the one that they ask for, and which may not.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, Operation};

use super::step::{Judging, Question, Step, Then};
use crate::agent::objects::{
    AddressOf, POOL_ANNOTATION, SHARED_LABEL, ServiceObjectView, read_service,
};
use crate::services::ServiceName;

/// Which of the two webhooks asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Before the API server gives an address: the Service can be changed.
    Mutating,
    /// After: it can be refused.
    Validating,
}

/// The rules by which reviews are judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Namespaces whose Services are let through whatever they are.
    pub(crate) excepted: BTreeSet<String>,
    /// Prefixes that the control plane gives addresses from; none before it was asked.
    pub(crate) pools: Option<Vec<IpNet>>,
}

impl Rules {
    fn has(&self, address: IpAddr) -> bool {
        let mut pools = self.pools.iter().flatten();
        pools.any(|pool| pool.contains(&address))
    }
}

fn view(object: Option<&DynamicObject>) -> Option<ServiceObjectView> {
    let object = serde_json::to_value(object?).ok()?;
    Some(read_service(&object))
}

/// Judges a request as far as that goes without the control plane.
pub(crate) fn begin(
    request: &AdmissionRequest<DynamicObject>,
    phase: Phase,
    rules: &Rules,
) -> Step {
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let is_service = request.resource.resource == "services" && request.sub_resource.is_none();
    let Some(new) = view(request.object.as_ref()).filter(|_| is_service) else {
        return Step::allow(request);
    };
    let is_change = matches!(request.operation, Operation::Create | Operation::Update);
    if rules.excepted.contains(namespace) || !is_change {
        return Step::allow(request);
    }
    let old = view(request.old_object.as_ref());
    match new.address {
        AddressOf::ExternalName | AddressOf::Headless => Step::allow(request),
        AddressOf::Open => open(request, phase, &new, old.as_ref()),
        AddressOf::Address(address) => {
            if rules.pools.is_none() {
                return Step::Fail("the control plane has not told its pools yet".to_owned());
            }
            fixed(request, phase, rules, address, &new, old.as_ref())
        }
    }
}

/// A Service without an address yet.
fn open(
    request: &AdmissionRequest<DynamicObject>,
    phase: Phase,
    new: &ServiceObjectView,
    old: Option<&ServiceObjectView>,
) -> Step {
    // Who leaves the address out of a change keeps the one that it has.
    let has_one = old.is_some_and(|old| matches!(old.address, AddressOf::Address(_)));
    if phase == Phase::Validating || !new.is_shared || has_one {
        return Step::allow(request);
    }
    ask(request, Then::Give)
}

/// A Service with an address, which it has chosen or, when it is validated, was given.
fn fixed(
    request: &AdmissionRequest<DynamicObject>,
    phase: Phase,
    rules: &Rules,
    address: IpAddr,
    new: &ServiceObjectView,
    old: Option<&ServiceObjectView>,
) -> Step {
    let deny = |why: String| Step::deny(AdmissionResponse::from(request), 409, why);
    let is_in_a_pool = rules.has(address);
    if let Some(old) = old.filter(|old| old.address == new.address) {
        return match (old.is_shared, new.is_shared) {
            (true, false) if is_in_a_pool => deny(format!(
                "{address} is this Service's in every cluster, and so is the label {SHARED_LABEL}: delete the Service, and create it without"
            )),
            (false, true) if !is_in_a_pool => deny(format!(
                "{address} is this cluster's own, and cannot change: delete the Service, and create it with the label {SHARED_LABEL}"
            )),
            _ => Step::allow(request),
        };
    }
    match (new.is_shared, is_in_a_pool) {
        (false, false) => Step::allow(request),
        (false, true) => match phase {
            // The other webhook sees it too, and all that the API server makes of it.
            Phase::Mutating => Step::allow(request),
            Phase::Validating => deny(format!(
                "{address} is in a pool of addresses that are the same in every cluster: a Service gets one by the label {SHARED_LABEL}=true \
                 and without spec.clusterIP. If this cluster has chosen it by itself, create the Service again"
            )),
        },
        (true, false) => deny(format!(
            "{address} is in no pool of addresses that are the same in every cluster: leave spec.clusterIP out of a Service with the label {SHARED_LABEL}"
        )),
        (true, true) => ask(
            request,
            Then::Compare {
                wanted: address,
                book: phase == Phase::Mutating && !request.dry_run,
            },
        ),
    }
}

fn ask(request: &AdmissionRequest<DynamicObject>, then: Then) -> Step {
    let response = AdmissionResponse::from(request);
    let object = request.object.as_ref().map(|object| &object.metadata);
    let name = object.and_then(|metadata| metadata.name.as_deref());
    let name = name
        .filter(|name| !name.is_empty())
        .unwrap_or(&request.name);
    if name.is_empty() {
        let why = "a Service with one address in every cluster is known by its name: give metadata.name, not generateName";
        return Step::deny(response, 400, why);
    }
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let service = match ServiceName::new(namespace, name) {
        Ok(service) => service,
        Err(error) => return Step::deny(response, 400, error),
    };
    let annotations = object.and_then(|metadata| metadata.annotations.as_ref());
    Step::Ask(Box::new(Judging {
        response,
        question: Question {
            service,
            pool: annotations.and_then(|all| all.get(POOL_ANNOTATION).cloned()),
            dry_run: request.dry_run || then != Then::Give,
        },
        then,
    }))
}
