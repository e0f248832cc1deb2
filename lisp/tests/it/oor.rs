//! Debian's Open Overlay Router as xTRs of our Map-Server: they register, find each other, and follow a solicitation.

use crate::namespaces::run;

#[test]
fn open_overlay_router_registers_asks_and_is_repointed() {
    let found = run("oor.sh");
    eprintln!("{found:#?}");
    let number = |name: &str| found[name].parse::<u64>().unwrap();
    assert!(number("registered") >= 2, "both xTRs have registered");
    assert!(
        number("pings") >= 1,
        "data pass between the sites, both ways"
    );
    assert!(number("map_reply") >= 2, "each asked for the other");
    // That it was repointed at all, the script has awaited; its own time for it would be ten minutes.
    assert!(number("solicitations") >= 1);
    assert_eq!(
        found["wrong"], "",
        "tshark finds nothing wrong with what was sent"
    );
    assert_eq!(
        found["refused"], "",
        "and the Map-Server nothing with what came"
    );
}
