//! A verdict is of the p50 and of what was carried, so both share one bound of error.

use super::{Difference, build, load, tests::frames, tests::several};
use result::Pipeline;

/// By how much the second scenario is slower in each of four rounds, microseconds: alone such differences are told from zero with p = 0.037,
/// and as one of two they are not.
const SLOWER_US: [u64; 4] = [80, 109, 251, 280];

/// Two scenarios, of which the second one is slower in what is carried, and so in the p50.
fn on_the_edge() -> Difference {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = several(dir.path(), &[("s1", "udp", 0), ("s2", "udp", 0)]);
    for (run, slower_us) in (1..).zip(SLOWER_US) {
        for (name, slower_us) in [("s1", 0), ("s2", slower_us)] {
            let stages = [1_500, 300, 40, 260 + slower_us, 700];
            frames(&folder, name, Pipeline::Ours, run, stages);
        }
    }
    let summary = build(&load(&folder).expect("a result"));
    let [difference] = <[_; 1]>::try_from(summary.differences).expect("one pair");
    difference
}

#[test]
fn p50_and_carried_are_corrected_together() {
    let of = on_the_edge();
    let (p50, carried) = (of.p50_us, of.carried_us.expect("both points"));
    // What no verdict is of is corrected by itself: as the only difference of its figure it stands.
    let mean = of.mean_us;
    assert!(mean.distinguishable, "{mean:?}");
    let alone = mean.p.expect("four pairs");
    assert!((0.025..0.05).contains(&alone), "{alone}");
    for figure in [p50, carried] {
        let p = figure.p.expect("four pairs");
        assert!((p - 2.0 * alone).abs() < 0.01, "{p} of two, {alone} alone");
        assert!(!figure.distinguishable, "{figure:?}");
        let [low, high] = figure.ci.expect("four pairs");
        assert!(low > 0.0 && high > low, "alone it would be: {figure:?}");
        assert!(figure.detectable > mean.detectable, "{figure:?}");
    }
    assert!(crate::text::verdict(&of).contains("not distinguishable"));
}
