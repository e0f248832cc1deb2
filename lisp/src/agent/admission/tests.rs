//! Bodies as the API server sends them, and as they are answered, byte by byte.

use kube::core::DynamicObject;
use kube::core::admission::{AdmissionRequest, AdmissionReview};
use serde_json::{Value, json};

use super::*;

fn rules() -> Rules {
    Rules {
        excepted: ["kube-system".to_owned(), "xr-lisp".to_owned()].into(),
        pools: Some(vec!["10.112.0.0/16".parse().unwrap()]),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "values of json! read best where they are used"
)]
fn service(labels: Value, spec: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "cart", "namespace": "shop", "labels": labels, "creationTimestamp": null },
        "spec": spec,
        "status": { "loadBalancer": {} },
    })
}

fn shared(spec: Value) -> Value {
    service(json!({ "xrbench.io/shared": "true" }), spec)
}

/// A review as Kubernetes 1.20 sends it.
fn review(operation: &str, object: &Value, old: Option<&Value>) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "0c9a8d74-9cb7-44dd-b98e-09fd62def2f4",
            "kind": { "group": "", "version": "v1", "kind": "Service" },
            "resource": { "group": "", "version": "v1", "resource": "services" },
            "requestKind": { "group": "", "version": "v1", "kind": "Service" },
            "requestResource": { "group": "", "version": "v1", "resource": "services" },
            "name": "cart",
            "namespace": "shop",
            "operation": operation,
            "userInfo": { "username": "admin", "groups": ["system:authenticated"] },
            "object": object,
            "oldObject": old,
            "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    })
}

fn request(body: Value) -> AdmissionRequest<DynamicObject> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_value(body).unwrap();
    review.try_into().unwrap()
}

fn create(phase: Phase, object: &Value) -> Step {
    begin(&request(review("CREATE", object, None)), phase, &rules())
}

fn body(step: Step) -> String {
    match step {
        Step::Answer(review) => serde_json::to_string(&review).unwrap(),
        other => panic!("no answer: {other:?}"),
    }
}

fn question(step: Step) -> Judging {
    match step {
        Step::Ask(judging) => *judging,
        other => panic!("no question: {other:?}"),
    }
}

const ALLOWED: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"0c9a8d74-9cb7-44dd-b98e-09fd62def2f4","allowed":true,"status":{}}}"#;

fn denied(code: u16, message: &str) -> String {
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"0c9a8d74-9cb7-44dd-b98e-09fd62def2f4","allowed":false,"status":{{"code":{code},"message":"{message}"}}}}}}"#
    )
}

#[test]
fn a_shared_service_gets_its_address() {
    let judging = question(create(
        Phase::Mutating,
        &shared(json!({ "ports": [{ "port": 80 }] })),
    ));
    let asked = judging.question();
    assert_eq!(
        (asked.service.to_string().as_str(), asked.dry_run),
        ("shop/cart", false)
    );
    let given = judging.answered(Answered::Address([10, 112, 0, 7].into()));
    // The patch: [{"op":"add","path":"/spec/clusterIP","value":"10.112.0.7"},{"op":"add","path":"/spec/clusterIPs","value":["10.112.0.7"]}]
    let answer: Value = serde_json::from_str(&body(given)).unwrap();
    let patch: Vec<u8> = serde_json::from_value(answer["response"]["patch"].clone()).unwrap();
    assert_eq!(
        String::from_utf8(patch).unwrap(),
        r#"[{"op":"add","path":"/spec/clusterIP","value":"10.112.0.7"},{"op":"add","path":"/spec/clusterIPs","value":["10.112.0.7"]}]"#
    );
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
}

#[test]
fn a_dry_run_only_looks() {
    let mut body = review("CREATE", &shared(json!({})), None);
    body["request"]["dryRun"] = json!(true);
    let step = begin(&request(body), Phase::Mutating, &rules());
    assert!(question(step).question().dry_run);
}

#[test]
fn what_needs_no_shared_address_passes() {
    for object in [
        shared(json!({ "type": "ExternalName", "externalName": "a.example" })),
        shared(json!({ "clusterIP": "None" })),
        service(json!({}), json!({ "ports": [{ "port": 80 }] })),
        service(json!({}), json!({ "clusterIP": "10.96.0.1" })),
    ] {
        for phase in [Phase::Mutating, Phase::Validating] {
            assert_eq!(body(create(phase, &object)), ALLOWED, "{object}");
        }
    }
    let body_of = |namespace: &str| {
        let mut body = review("CREATE", &shared(json!({})), None);
        body["request"]["namespace"] = json!(namespace);
        body
    };
    for namespace in ["kube-system", "xr-lisp"] {
        let step = begin(&request(body_of(namespace)), Phase::Mutating, &rules());
        assert_eq!(body(step), ALLOWED, "{namespace}");
    }
    let mut status = review("UPDATE", &shared(json!({})), Some(&shared(json!({}))));
    status["request"]["subResource"] = json!("status");
    assert_eq!(
        body(begin(&request(status), Phase::Mutating, &rules())),
        ALLOWED
    );
}

#[test]
fn nobody_takes_a_pool_address_by_hand() {
    let by_hand = service(json!({}), json!({ "clusterIP": "10.112.0.9" }));
    assert_eq!(
        body(create(Phase::Mutating, &by_hand)),
        ALLOWED,
        "the other one refuses"
    );
    assert_eq!(
        body(create(Phase::Validating, &by_hand)),
        denied(
            409,
            "10.112.0.9 is in a pool of addresses that are the same in every cluster: a Service gets one by the label xrbench.io/shared=true \
             and without spec.clusterIP. If this cluster has chosen it by itself, create the Service again"
        )
    );
    let labelled = shared(json!({ "clusterIP": "10.112.0.9" }));
    for phase in [Phase::Mutating, Phase::Validating] {
        let judging = question(create(phase, &labelled));
        assert!(judging.question().dry_run, "to refuse is not to book");
        assert_eq!(
            body(judging.answered(Answered::Address([10, 112, 0, 7].into()))),
            denied(
                409,
                "10.112.0.9 is not the address of shop/cart, which is 10.112.0.7 in every cluster: leave spec.clusterIP out, and it is set; \
                 another one can be reserved in the control plane's file"
            )
        );
    }
    let outside = shared(json!({ "clusterIP": "10.96.0.1" }));
    for phase in [Phase::Mutating, Phase::Validating] {
        assert!(body(create(phase, &outside)).contains("in no pool"));
    }
}

#[test]
fn its_own_address_may_be_asked_for_and_is_booked_then() {
    let own = shared(json!({ "clusterIP": "10.112.0.7" }));
    let address = Answered::Address([10, 112, 0, 7].into());
    let judging = question(create(Phase::Mutating, &own));
    let second = question(judging.answered(address.clone()));
    assert!(!second.question().dry_run);
    assert_eq!(body(second.answered(address.clone())), ALLOWED);
    let judging = question(create(Phase::Validating, &own));
    assert_eq!(body(judging.answered(address)), ALLOWED);
}

#[test]
fn a_pool_that_is_exhausted_says_so_and_no_answer_is_the_failure_policys() {
    let judging = || question(create(Phase::Mutating, &shared(json!({}))));
    let refused = Answered::Refused {
        status: 507,
        why: "shop/cart: every address of pool 'default' is taken".to_owned(),
    };
    assert_eq!(
        body(judging().answered(refused)),
        denied(507, "shop/cart: every address of pool 'default' is taken")
    );
    let failed = judging().answered(Answered::Not("no route".to_owned()));
    assert!(matches!(failed, Step::Fail(why) if why == "no route"));
    let blind = Rules {
        pools: None,
        ..rules()
    };
    let object = service(json!({}), json!({ "clusterIP": "10.96.0.1" }));
    let step = begin(
        &request(review("CREATE", &object, None)),
        Phase::Validating,
        &blind,
    );
    assert!(matches!(step, Step::Fail(_)));
}

#[test]
fn an_address_and_its_label_stay_together() {
    let plain = |spec: Value| service(json!({}), spec);
    let (pool, own) = (
        json!({ "clusterIP": "10.112.0.7" }),
        json!({ "clusterIP": "10.96.0.1" }),
    );
    let update = |new: &Value, old: &Value, phase| {
        begin(&request(review("UPDATE", new, Some(old))), phase, &rules())
    };
    for phase in [Phase::Mutating, Phase::Validating] {
        let same = update(&shared(pool.clone()), &shared(pool.clone()), phase);
        assert_eq!(body(same), ALLOWED);
        let unlabelled = update(&plain(pool.clone()), &shared(pool.clone()), phase);
        assert!(body(unlabelled).contains("delete the Service, and create it without"));
        let labelled = update(&shared(own.clone()), &plain(own.clone()), phase);
        assert!(body(labelled).contains("create it with the label"));
        let left_out = update(&shared(json!({})), &shared(pool.clone()), phase);
        assert_eq!(body(left_out), ALLOWED);
    }
    // From a name for another to a Service with an address.
    let external = shared(json!({ "type": "ExternalName", "externalName": "a.example" }));
    question(update(
        &shared(json!({ "type": "ClusterIP" })),
        &external,
        Phase::Mutating,
    ));
}

#[test]
fn a_name_is_needed_and_a_pool_may_be_named() {
    let mut nameless = shared(json!({}));
    nameless["metadata"].as_object_mut().unwrap().remove("name");
    nameless["metadata"]["generateName"] = json!("cart-");
    let mut asked = review("CREATE", &nameless, None);
    asked["request"].as_object_mut().unwrap().remove("name");
    let step = begin(&request(asked), Phase::Mutating, &rules());
    assert!(body(step).contains("not generateName"));
    let mut named = shared(json!({}));
    named["metadata"]["annotations"] = json!({ "xrbench.io/pool": "video" });
    let judging = question(create(Phase::Mutating, &named));
    assert_eq!(judging.question().pool.as_deref(), Some("video"));
}
