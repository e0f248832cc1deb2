//! Tests of: run plan.

use proptest::prelude::*;

use super::*;
use crate::scenario::{Overrides, parse};

fn file(text: &str) -> File {
    parse(
        &format!("schema = 1\nname = \"x\"\n{text}"),
        "x.toml",
        &Overrides::default(),
    )
    .expect("a scenario file")
}

fn scenario(name: &str, rest: &str) -> String {
    format!("[[scenario]]\nname = \"{name}\"\n{rest}\n")
}

#[test]
fn every_round_has_every_scenario_and_its_floor() {
    let file = file(
        &[
            scenario("a", "runs = 12\nfloor = {}"),
            scenario("b", "runs = 12"),
            scenario("once", ""),
        ]
        .concat(),
    );
    let plan = Plan::new(&file);
    let at = |name: &str, run| {
        let place = plan
            .order
            .iter()
            .position(|one| one.scenario == name && one.run == run);
        place.expect("planned")
    };
    let all = ["a", "b", "floor-1280x720-60"];
    for run in 1..12 {
        for (one, other) in all.iter().flat_map(|one| all.map(|other| (*one, other))) {
            assert!(at(one, run) < at(other, run + 1), "{one} {other} {run}");
        }
    }
    let before = (1..=12).filter(|run| at("a", *run) < at("b", *run)).count();
    assert!((2..=10).contains(&before), "drawn: {before} of 12");
    assert!(at("once", 1) < at("a", 2));
    let floor = &plan.floors[0].like;
    assert_eq!(
        (floor.runs, floor.duration),
        (12, file.scenario[0].duration)
    );
}

#[test]
fn scenarios_of_the_same_codec_share_a_floor_and_others_do_not() {
    let file = file(
        &[
            scenario(
                "reference",
                "pipeline = \"reference\"\nfps = 25\nfloor = { runs = 2, duration = \"4s\" }",
            ),
            scenario("udp", "fps = 25\nfloor = { runs = 3, duration = \"6s\" }"),
            scenario("tcp", "fps = 25\ntransport = \"tcp\"\nfloor = {}"),
            scenario(
                "slow",
                "fps = 25\nrenderer = { preset = \"medium\" }\nfloor = {}",
            ),
            scenario("none", "fps = 25"),
        ]
        .concat(),
    );
    let plan = Plan::new(&file);
    let first = Some("floor-1280x720-25".to_owned());
    let second = Some("floor-1280x720-25-2".to_owned());
    assert_eq!(
        plan.floor_of,
        [first.clone(), first.clone(), first.clone(), second, None]
    );
    assert_eq!(
        (
            plan.floors[0].like.runs,
            plan.floors[0].like.duration.as_secs_f64()
        ),
        (3, 30.0)
    );
    assert_eq!(
        plan.floors[0].like.pipeline,
        Pipeline::Ours,
        "ours decides on its settings"
    );
    let infos = plan.scenarios(&file);
    let listed: Vec<&str> = infos.iter().map(|info| info.name.as_str()).collect();
    let expected = [
        "floor-1280x720-25",
        "reference",
        "udp",
        "tcp",
        "floor-1280x720-25-2",
        "slow",
        "none",
    ];
    assert_eq!(listed, expected);
}

proptest! {
    /// Every repetition happens once and in its round, and the same seed gives the same order.
    #[test]
    fn orders_are_fair(
        seed in any::<u32>(),
        members in prop::collection::vec((1_u32..6, 0_u32..5, 0_usize..3), 1..7),
    ) {
        let text: String = (members.iter().enumerate())
            .map(|(n, (runs, floors, rate))| {
                let fps = [25, 30, 60][*rate];
                scenario(&format!("s{n}"), &format!("runs = {runs}\nfps = {fps}\nfloor = {{ runs = {floors} }}"))
            })
            .collect();
        let file = file(&format!("seed = {seed}\n{text}"));
        let plan = Plan::new(&file);
        prop_assert_eq!(&plan, &Plan::new(&file));

        let infos = plan.scenarios(&file);
        prop_assert_eq!(plan.order.len(), infos.iter().map(|info| info.runs as usize).sum::<usize>());
        for info in &infos {
            let runs: Vec<u32> =
                plan.order.iter().filter(|slot| slot.scenario == info.name).map(|slot| slot.run).collect();
            prop_assert_eq!(runs, (1..=info.runs).collect::<Vec<_>>());
        }
        prop_assert!(plan.order.is_sorted_by_key(|slot| slot.run));
    }
}

#[test]
fn what_a_report_goes_by_is_data_of_the_result() {
    let file = file(
        &[
            "[presentation]\ncompare = \"paper\"\n".to_owned(),
            scenario(
                "any-name",
                "paper = 3\nfabric = \"liqo\"\nwan = { b_to_a = { delay = \"1.5ms\" } }",
            ),
            scenario("s3-in-name-only", ""),
        ]
        .concat(),
    );
    let infos = Plan::new(&file).scenarios(&file);
    assert_eq!((infos[0].paper, infos[0].delay_us), (Some(3), Some(1_500)));
    assert_eq!((infos[1].paper, infos[1].delay_us), (None, None));
    assert!(file.presentation.is_some());
}

/// What a limited encoder is above the codec must not be the limits.
#[test]
fn a_limited_scenario_has_a_limited_floor() {
    let limited = "fabric = \"single\"\nlimits = true\nfloor = {}";
    let file = file(
        &[
            scenario("limited", limited),
            scenario("free", "fabric = \"single\"\nfloor = {}"),
        ]
        .concat(),
    );
    let limits: Vec<_> = Plan::new(&file)
        .floors
        .iter()
        .map(|floor| floor.like.limits)
        .collect();
    assert_eq!(limits, [true, false]);
}
