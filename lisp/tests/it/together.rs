//! All of it together: a service in two clusters is reached at one address while its cluster stops, comes back, and is cut off, and while
//! the control plane is killed.

use crate::namespaces::run;

#[test]
fn a_service_outlives_its_cluster_at_the_same_address() {
    let found = run("together.sh");
    eprintln!("{found:#?}");
    let ms = |name: &str| found[name].parse::<u64>().unwrap();
    // Each has ended well before a registration would have, after three minutes.
    assert!(
        ms("stopped_ms") < 60_000 && ms("cut_off_ms") < 60_000,
        "{found:?}"
    );
    assert!(
        ms("control_killed_ms") < 60_000,
        "what runs goes on: {found:?}"
    );
    assert_eq!(found["refused"], "");
}
