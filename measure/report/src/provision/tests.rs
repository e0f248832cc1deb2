//! What is shown of made-up experiments.

use result::provision::{ClusterOutcome, ProvisionCell, SimulatedProvider, Transition};

use super::*;

fn experiment() -> (ProvisionInfo, Vec<ClusterRow>, Vec<TransitionRow>) {
    let cell = |distribution: &str| ProvisionCell {
        distribution: distribution.into(),
        nodes: 3,
        flavour: String::new(),
    };
    let info = ProvisionInfo {
        name: "made-up".into(),
        state: RunState::Finished,
        server_version: "v1.33.1".into(),
        repetitions: 4,
        cells: vec![cell("kubeadm"), cell("k3s")],
        ..ProvisionInfo::default()
    };
    let (mut clusters, mut transitions) = (Vec::new(), Vec::new());
    for (place, cell) in info.cells.iter().enumerate() {
        for repetition in 1..=4 {
            let name = format!("p1-{}-3-{repetition}", cell.distribution);
            let is_late = place == 1 && repetition == 4;
            clusters.push(ClusterRow {
                cluster: name.clone(),
                distribution: cell.distribution.clone(),
                nodes: 3,
                repetition,
                generation_us: 700,
                outcome: if is_late {
                    ClusterOutcome::Late
                } else {
                    ClusterOutcome::Ready
                },
                deletion_us: Some(40_000_000),
                detail: if is_late {
                    "not ready after 1200 s".into()
                } else {
                    String::new()
                },
                ..ClusterRow::default()
            });
            for (step, seconds) in [
                (Transition::InfrastructureReady, 20),
                (Transition::ControlPlaneInitialized, 100),
                (Transition::ControlPlaneNodeReady, 150),
                (Transition::ControlPlaneAvailable, 160),
                (Transition::AllNodesReady, 200),
            ] {
                transitions.push(TransitionRow {
                    cluster: name.clone(),
                    transition: step,
                    elapsed_us: (seconds + u64::from(repetition)) * 1_000_000
                        - place as u64 * 10_000_000,
                    reported_us: None,
                });
            }
        }
    }
    (info, clusters, transitions)
}

#[test]
fn late_clusters_are_named_and_in_no_figure() {
    let (info, clusters, transitions) = experiment();
    let of = cells(&info, &clusters, &transitions);
    insta::assert_snapshot!(terminal(&info, &of, Some(200)));
}

#[test]
fn everything_that_is_shown_of_a_simulation_says_so() {
    let (mut info, clusters, transitions) = experiment();
    info.simulated = Some(SimulatedProvider {
        profile: "schema = 1".into(),
        time_scale: 8.0,
    });
    let of = cells(&info, &clusters, &transitions);
    let text = terminal(&info, &of, Some(200));
    assert!(
        text.contains("Simulated: no cluster was provisioned"),
        "{text}"
    );
    assert_eq!(text.matches("(simulated)").count(), 2, "{text}");
    let page = page::render(&info, &of).expect("a page");
    assert!(page.contains("Simulated: no cluster was provisioned"));
    assert!(page.contains("Simulated: Time until the control plane is ready"));
    assert!(page.contains("Simulated: Share of clusters"));
    for outside in ["http://", "https://", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn a_folder_with_clusters_missing_is_shown_and_is_an_error() {
    let (info, clusters, transitions) = experiment();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = ProvisionFolder::new(dir.path());
    result::write_json(&folder.info_json(), &info).expect("info");
    rows::write(&folder.clusters_csv(), &clusters).expect("clusters");
    rows::write(&folder.transitions_csv(), &transitions).expect("transitions");
    let mut out = Vec::new();
    let error = show(&folder, &mut out).expect_err("one is late");
    assert!(error.to_string().contains("7 of 8"), "{error}");
    assert!(String::from_utf8_lossy(&out).contains("Provisioning in seconds"));
    assert!(folder.page_html().exists());
}
