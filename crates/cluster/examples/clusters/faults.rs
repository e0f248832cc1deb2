//! What is done to a cluster on purpose, and taken back: a cut by network policies, and a drained node.

use cluster::Objects;

use super::{LONG, Place, kubectl};

pub(super) async fn cut_off() {
    let place = Place::new("cut").await;
    let namespace = place.namespace.as_str();
    let policy = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: open, namespace: {namespace}, labels: {{xrbench.io/run: cut}}}}\n\
         spec: {{podSelector: {{}}, policyTypes: [Ingress], ingress: [{{from: [{{ipBlock: {{cidr: 0.0.0.0/0}}}}]}}]}}\n"
    );
    place.apply(&policy).await;
    let policies = Objects::parse(&policy)
        .expect("a policy")
        .network_policies();
    let get = |name: &str, path: &str| {
        let output = format!("--output=jsonpath={path}");
        let args = [
            "--namespace",
            namespace,
            "get",
            "networkpolicy",
            name,
            &output,
        ];
        kubectl(&args, "")
    };
    let cut = place.cluster.cut_off("cut", namespace, &policies);
    cut.await.expect("cut off");
    assert_eq!(get("open", "{.spec.ingress}"), "", "it allows nothing");
    assert_eq!(get("open", "{.spec.policyTypes[0]}"), "Ingress");
    assert_eq!(get("cut-off", "{.metadata.labels.xrbench\\.io/run}"), "cut");
    let joined = place.cluster.join_again(namespace, &policies);
    joined.await.expect("joined again");
    assert_eq!(
        get("open", "{.spec.ingress[0].from[0].ipBlock.cidr}"),
        "0.0.0.0/0"
    );
    let names = [
        "--namespace",
        namespace,
        "get",
        "networkpolicy",
        "--output=name",
    ];
    assert_eq!(kubectl(&names, "").lines().count(), 1, "the cut's is gone");
    place.end().await;
}

pub(super) async fn drained() {
    let place = Place::new("drained").await;
    let (cluster, namespace) = (&place.cluster, place.namespace.as_str());
    place.deploy("well", super::waits::WELL).await;
    let pods = cluster.available(namespace, "well", LONG).await;
    let pods = pods.expect("it starts");
    let node = pods[0]["spec"]["nodeName"].as_str().expect("a node");
    let pod = pods[0]["metadata"]["name"].as_str().expect("a name");

    let cordon = |run| cluster.cordon(node, run);
    assert!(cordon("drained").await.expect("cordoned"));
    assert!(
        !cordon("another").await.expect("asked"),
        "it takes none already"
    );
    let on_it = cluster.pods_on(namespace, "drained", node).await;
    let on_it: Vec<_> = on_it
        .expect("a list")
        .into_iter()
        .map(|one| one.pod)
        .collect();
    assert_eq!(on_it, [pod]);
    cluster.evict(namespace, pod).await.expect("evicted");
    cluster.ended(namespace, "well", pod, 0).await;
    cluster.evict(namespace, pod).await.expect("gone already");

    assert_eq!(cluster.cordoned(Some("another")).await.expect("a list"), []);
    let ours = cluster.cordoned(Some("drained")).await.expect("a list");
    assert_eq!(ours.len(), 1, "{ours:?}");
    cluster.uncordon(&ours[0]).await.expect("uncordoned");
    assert_eq!(cluster.cordoned(None).await.expect("a list"), []);
    let taints = [
        "get",
        "node",
        node,
        "--output=jsonpath={.spec.unschedulable}",
    ];
    assert_eq!(kubectl(&taints, ""), "");
    // What was told of the pod while there was no node for it is no reason to give up.
    let scheduled = cluster.scheduled(namespace, "well", LONG).await;
    scheduled.expect("it has a node");
    let again = cluster.available(namespace, "well", LONG).await;
    assert_ne!(again.expect("another comes")[0]["metadata"]["name"], pod);
    place.end().await;
}
