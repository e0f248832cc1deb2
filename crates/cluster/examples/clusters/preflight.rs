//! What a cluster lacks is told at once, and before anything is applied.

use std::path::Path;
use std::time::Duration;

use cluster::preflight::{Found, Needs};
use cluster::{Images, Objects, Overlay, Rendering};
use settings::ClusterName;

use super::{LONG, Place, connect, kubeconfig, kubectl};

async fn rendered(path: &'static str, images: &Images) -> Objects {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../k8s");
    let rendering = Rendering {
        manifests: &manifests,
        run: "looked-at",
        namespace: "xrbench-looked-at",
        images,
        component: None,
        far_node: None,
    };
    let cluster = ClusterName::A;
    let objects = rendering.objects(Overlay { cluster, path }).await;
    objects.expect("objects")
}

fn told(found: &Found) -> String {
    let faults: Vec<String> = found.faults.iter().map(ToString::to_string).collect();
    faults.join("\n")
}

pub(super) async fn all_is_there() {
    let cluster = connect(kubeconfig()).await;
    let objects = rendered("s1-single", &Images::default()).await;
    let needs = Needs {
        objects: &objects,
        peer: None,
        cuts: false,
        drains: false,
    };
    let found = cluster.preflight(&needs).await;
    assert_eq!(told(&found), "");
    assert!(found.nodes[0].address.is_some(), "{:?}", found.nodes);
}

/// Somebody who may only look at namespaces.
pub(super) async fn rights() {
    let place = Place::new("rights").await;
    let namespace = place.namespace.as_str();
    kubectl(
        &[
            "--namespace",
            namespace,
            "create",
            "serviceaccount",
            "nobody",
        ],
        "",
    );
    // Before Kubernetes 1.24 an account's token is in a Secret that is made for it.
    let secret = format!(
        "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/service-account-token\nmetadata:\n  name: nobody-token\n  \
         namespace: {namespace}\n  annotations: {{kubernetes.io/service-account.name: nobody}}\n"
    );
    kubectl(&["apply", "--filename", "-"], &secret);
    let path = "--output=go-template={{.data.token | base64decode}}";
    let ask = [
        "--namespace",
        namespace,
        "get",
        "secret",
        "nobody-token",
        path,
    ];
    let mut token = kubectl(&ask, "");
    while token.is_empty() || token.contains("no value") {
        tokio::time::sleep(Duration::from_millis(100)).await;
        token = kubectl(&ask, "");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let own = folder.path().join("config");
    let view = kubectl(&["config", "view", "--raw", "--flatten"], "");
    std::fs::write(&own, view).expect("written");
    let own_text = own.display().to_string();
    let set = |args: &[&str]| {
        let mut command = std::process::Command::new("kubectl");
        command
            .args(["config", "--kubeconfig", own_text.as_str()])
            .args(args);
        assert!(
            command.output().expect("kubectl runs").status.success(),
            "{args:?}"
        );
    };
    set(&["set-credentials", "nobody", &format!("--token={token}")]);
    set(&["set-context", "--current", "--user=nobody"]);

    let cluster = connect(own).await;
    let objects = rendered("s1-single", &Images::default()).await;
    let needs = Needs {
        objects: &objects,
        peer: None,
        cuts: true,
        drains: true,
    };
    let found = cluster.preflight(&needs).await;
    let told = told(&found);
    for right in [
        "namespaces, rights: you may not create it",
        "deployments.apps, rights: you may not patch it",
        "pods/portforward, rights: you may not create it",
        "pods/log, rights: you may not get it",
        "networkpolicies.networking.k8s.io, rights: you may not delete it",
        "nodes, rights: you may not patch it",
        "pods/eviction, rights: you may not create it",
    ] {
        assert!(told.contains(right), "{right}\n{told}");
    }
    assert!(
        found.notes.iter().any(|note| note.contains("nodes/proxy")),
        "{found:?}"
    );
    place.end().await;
}

pub(super) async fn image() {
    let cluster = connect(kubeconfig()).await;
    let images = Images {
        prefix: None,
        tag: Some("never".into()),
    };
    let objects = rendered("s1-single", &images).await;
    let needs = Needs {
        objects: &objects,
        peer: None,
        cuts: false,
        drains: false,
    };
    let found = cluster.preflight(&needs).await;
    assert_eq!(found.faults.len(), 4, "{}", told(&found));
    assert!(told(&found).contains("image xrbench/renderer:never"));
}

/// Says what Liqo would say of the namespace. kubectl has a flag for that which older ones lack; the API has always had the path.
fn set_phase(namespace: &str, phase: &str) {
    let at = format!(
        "/apis/offloading.liqo.io/v1beta1/namespaces/{namespace}/namespaceoffloadings/offloading"
    );
    let text = kubectl(&["get", "--raw", &at], "");
    let mut there: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    there["status"] = serde_json::json!({"offloadingPhase": phase});
    let status = format!("{at}/status");
    let args = ["replace", "--raw", &status, "--filename", "-"];
    kubectl(&args, &there.to_string());
}

/// Liqo itself cannot be had here; its definitions can, from the folder that `XR_TEST_LIQO` names.
pub(super) async fn liqo() {
    let crds =
        std::env::var("XR_TEST_LIQO").expect("XR_TEST_LIQO names the folder of Liqo's definitions");
    let offloading = rendered("s2-liqo-local/offloading", &Images::default()).await;
    let needs = Needs {
        objects: &offloading,
        peer: Some("cluster-b"),
        cuts: false,
        drains: false,
    };
    let bare = connect(kubeconfig()).await.preflight(&needs).await;
    assert!(
        told(&bare).contains("kind NamespaceOffloading"),
        "{}",
        told(&bare)
    );
    assert!(
        told(&bare).contains("ForeignCluster cluster-b"),
        "{}",
        told(&bare)
    );

    kubectl(&["apply", "--server-side", "--filename", &crds], "");
    for name in [
        "namespaceoffloadings.offloading.liqo.io",
        "foreignclusters.core.liqo.io",
    ] {
        let definition = format!("customresourcedefinition/{name}");
        kubectl(&["wait", "--for=condition=Established", &definition], "");
    }
    let place = Place::new("liqo").await;
    let foreign = "apiVersion: core.liqo.io/v1beta1\nkind: ForeignCluster\nmetadata: {name: cluster-b}\n\
                   spec: {clusterID: cluster-b}\n";
    kubectl(&["apply", "--filename", "-"], foreign);
    let cluster = &place.cluster;
    let down = cluster.preflight(&needs).await;
    assert!(
        told(&down).contains("NetworkConnectionStatus"),
        "{}",
        told(&down)
    );

    let object = format!(
        "apiVersion: offloading.liqo.io/v1beta1\nkind: NamespaceOffloading\nmetadata: {{name: offloading, namespace: {}, \
         labels: {{xrbench.io/run: liqo}}}}\nspec: {{namespaceMappingStrategy: EnforceSameName, podOffloadingStrategy: LocalAndRemote, \
         clusterSelector: {{nodeSelectorTerms: []}}}}\n",
        place.namespace
    );
    place.apply(&object).await;
    let objects = Objects::parse(&object).expect("an object");
    let object = objects.in_order().next().expect("one");
    let phase = |phase: &str| set_phase(&place.namespace, phase);
    let field = "status.offloadingPhase";
    let wait = |limit| cluster.field(object, field, "Ready", &["SomeFailed", "AllFailed"], limit);
    let late = wait(Duration::from_secs(1))
        .await
        .expect_err("nobody does it");
    assert!(late.why.contains("not Ready"), "{late}");
    phase("InProgress");
    let (waited, ()) = tokio::join!(wait(LONG), async { phase("Ready") });
    waited.expect("it is ready");
    phase("SomeFailed");
    let failed = wait(LONG).await.expect_err("it failed");
    assert_eq!(failed.field, field);
    assert!(failed.why.contains("SomeFailed"), "{failed}");
    phase("InProgress");
    let (waited, ()) = tokio::join!(wait(LONG), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        kubectl(
            &[
                "--namespace",
                &place.namespace,
                "delete",
                "namespaceoffloading",
                "offloading",
            ],
            "",
        );
    });
    let deleted = waited.expect_err("it was deleted");
    assert!(
        deleted.why.contains("deleted while it was awaited"),
        "{deleted}"
    );
    kubectl(&["delete", "foreigncluster", "cluster-b"], "");
    kubectl(&["delete", "--filename", &crds], "");
    place.end().await;
}
