//! The crate against a real API server with nodes: waits that end, waits that cannot, preflight, and what is deleted.
//!
//! `make test-kube` runs it: `XR_TEST_KUBECONFIG` names the kubeconfig of a cluster, whose nodes have the images, and
//! `XR_TEST_LIQO` the folder of Liqo's definitions. It takes the arguments of a test program.

mod faults;
mod preflight;
mod waits;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cluster::{Access, Cluster, Objects};
use libtest_mimic::{Arguments, Trial};
use settings::ClusterName;

/// A limit that is reached only by what never comes.
const LONG: Duration = Duration::from_secs(90);

fn main() -> std::process::ExitCode {
    let mut arguments = Arguments::from_args();
    // They share the cluster's nodes.
    arguments.test_threads = Some(1);
    let trials = vec![
        trial(
            "a_workload_becomes_available_and_its_end_is_heard",
            waits::available_and_ended,
        ),
        trial("what_cannot_start_is_told_at_once", waits::hopeless),
        trial(
            "a_quota_and_a_deletion_end_a_wait",
            waits::quota_and_deletion,
        ),
        trial(
            "nothing_is_wrong_with_a_cluster_that_has_all_of_it",
            preflight::all_is_there,
        ),
        trial(
            "every_right_that_is_missing_is_told_at_once",
            preflight::rights,
        ),
        trial(
            "a_cut_takes_every_allowance_and_gives_it_back",
            faults::cut_off,
        ),
        trial(
            "a_node_is_drained_and_given_back_by_the_run_that_took_it",
            faults::drained,
        ),
        trial("an_image_that_no_node_has_is_told", preflight::image),
        trial(
            "liqos_kinds_and_its_peering_are_looked_at_and_awaited",
            preflight::liqo,
        ),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(test());
        Ok(())
    })
}

fn kubeconfig() -> PathBuf {
    let named = std::env::var_os("XR_TEST_KUBECONFIG");
    named
        .expect("XR_TEST_KUBECONFIG names the kubeconfig of a cluster; `make test-kube` starts one")
        .into()
}

async fn connect(kubeconfig: PathBuf) -> Cluster {
    let access = Access {
        kubeconfig: Some(kubeconfig),
        context: None,
    };
    let reached = Cluster::connect(ClusterName::A, &access).await;
    reached.expect("a cluster")
}

/// Runs kubectl as whoever owns the cluster, with this on its standard input.
fn kubectl(args: &[&str], input: &str) -> String {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut child = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(kubeconfig())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let (said, why) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "kubectl {args:?}: {why}");
    said
}

/// A namespace of a run, which goes when this does.
struct Place {
    cluster: Cluster,
    namespace: String,
}

impl Place {
    /// The namespace of the test of this name.
    async fn new(test: &str) -> Self {
        let cluster = connect(kubeconfig()).await;
        let namespace = format!("xrbench-{test}");
        let yaml = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{xrbench.io/run: {test}}}}}\n"
        );
        let place = Self { cluster, namespace };
        place.apply(&yaml).await;
        place
    }

    async fn apply(&self, yaml: &str) {
        let objects = Objects::parse(yaml).expect("objects");
        self.cluster.apply(&objects).await.expect("applied");
    }

    /// Applies a Deployment of the collector's image, changed by these lines of its container.
    async fn deploy(&self, name: &str, container: &str) {
        let test = self.namespace.trim_start_matches("xrbench-");
        let yaml = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {}, labels: {{xrbench.io/run: {test}}}}}\n\
             spec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}, xrbench.io/run: {test}}}}}\n    \
             spec:\n      terminationGracePeriodSeconds: 1\n      containers: [{{name: {name}, imagePullPolicy: IfNotPresent, {container}}}]\n",
            self.namespace
        );
        self.apply(&yaml).await;
    }

    async fn end(self) {
        let run = self.namespace.trim_start_matches("xrbench-").to_owned();
        let removed = self.cluster.remove_run(&run, LONG).await;
        removed.expect("it goes");
        let left = self.cluster.leftovers(Some(&run)).await.expect("a list");
        assert_eq!(left, []);
    }
}
