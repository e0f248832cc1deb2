//! Waits on real objects: each ends on what it waits for, and at once on what cannot mend itself.

use std::time::{Duration, Instant};

use super::{LONG, Place, kubectl};

pub(super) const WELL: &str =
    "image: 'xrbench/collector:0.1.0', env: [{name: XR_OUT, value: /tmp/out}]";

pub(super) async fn available_and_ended() {
    let place = Place::new("well").await;
    place.deploy("well", WELL).await;
    let pods = place
        .cluster
        .available(&place.namespace, "well", LONG)
        .await;
    let pods = pods.expect("it starts");
    let pod = pods[0]["metadata"]["name"].as_str().expect("a name");
    let ended = place.cluster.ended(&place.namespace, "well", pod, 0);
    let killed = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        place.cluster.kill_pod(&place.namespace, pod).await
    };
    let (told, killed) = tokio::join!(tokio::time::timeout(LONG, ended), killed);
    killed.expect("it may be killed");
    let told = told.expect("it is heard of");
    assert!(!told.is_empty(), "{told}");
    // The one that comes in its place, and not the old one.
    let again = place
        .cluster
        .available(&place.namespace, "well", LONG)
        .await;
    let again = again.expect("another comes");
    assert_ne!(again[0]["metadata"]["name"], pod);
    place.end().await;
}

/// What does not mend itself is told long before the limit, with the object, the field and a remedy.
pub(super) async fn hopeless() {
    let place = Place::new("hopeless").await;
    let cases = [
        (
            "image",
            "image: 'xrbench/nothing:1'",
            "Image",
            "state.waiting",
        ),
        (
            "crash",
            // Without a probe it would be available until it ends.
            "image: 'xrbench/collector:0.1.0', args: [--no-such-flag], readinessProbe: {httpGet: {path: /ready, port: 9095}}",
            "CrashLoopBackOff",
            "state.waiting",
        ),
        (
            "room",
            "image: 'xrbench/collector:0.1.0', resources: {requests: {cpu: '1000'}}",
            "Unschedulable",
            "PodScheduled",
        ),
        (
            "secret",
            "image: 'xrbench/collector:0.1.0', envFrom: [{secretRef: {name: none}}]",
            "CreateContainerConfigError",
            "state.waiting",
        ),
    ];
    for (name, container, why, field) in cases {
        place.deploy(name, container).await;
        let begun = Instant::now();
        let waited = place.cluster.available(&place.namespace, name, LONG).await;
        let fault = waited.expect_err(name);
        assert!(begun.elapsed() < LONG, "{name}");
        assert!(fault.why.contains(why), "{fault}");
        assert!(fault.field.contains(field), "{fault}");
        assert!(
            fault.object.contains(name) && !fault.remedy.is_empty(),
            "{fault}"
        );
    }
    place.end().await;
}

pub(super) async fn quota_and_deletion() {
    let place = Place::new("quota").await;
    let quota = format!(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: none, namespace: {}}}\nspec: {{hard: {{pods: '0'}}}}\n",
        place.namespace
    );
    kubectl(&["apply", "--filename", "-"], &quota);
    // The quota counts once its controller has seen it.
    let status = [
        "get",
        "resourcequota",
        "none",
        "--output=jsonpath={.status.hard.pods}",
    ];
    let mut args = vec!["--namespace", place.namespace.as_str()];
    args.extend(status);
    while kubectl(&args, "") != "0" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    place.deploy("full", WELL).await;
    let waited = place
        .cluster
        .available(&place.namespace, "full", LONG)
        .await;
    let fault = waited.expect_err("no pod is admitted");
    assert!(fault.why.contains("exceeded quota"), "{fault}");
    assert_eq!(fault.field, "status.conditions[ReplicaFailure]");

    let slow = &format!("{WELL}, readinessProbe: {{exec: {{command: [none]}}}}");
    kubectl(
        &[
            "--namespace",
            &place.namespace,
            "delete",
            "resourcequota",
            "none",
        ],
        "",
    );
    place.deploy("slow", slow).await;
    let waited = place.cluster.available(&place.namespace, "slow", LONG);
    let deleted = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        place.cluster.stop(&place.namespace, "slow").await
    };
    let (waited, deleted) = tokio::join!(waited, deleted);
    deleted.expect("it may be deleted");
    let fault = waited.expect_err("it was deleted");
    assert!(
        fault.why.contains("deleted while it was awaited"),
        "{fault}"
    );

    place.deploy("late", slow).await;
    let limit = Duration::from_secs(3);
    let waited = place
        .cluster
        .available(&place.namespace, "late", limit)
        .await;
    let fault = waited.expect_err("it is never ready");
    assert!(fault.why.contains("0 of 1 available"), "{fault}");
    place.end().await;
}
