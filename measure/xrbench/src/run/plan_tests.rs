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

fn names(plan: &Plan) -> Vec<&str> {
    plan.order
        .iter()
        .map(|slot| slot.scenario.as_str())
        .collect()
}

#[test]
fn a_floor_alternates_with_its_pipeline() {
    let file = file(&scenario("ours", "runs = 3\nfloor = { runs = 3 }"));
    let plan = Plan::new(&file);
    let floor = "floor-1280x720-60";
    assert_eq!(names(&plan), [floor, "ours", floor, "ours", floor, "ours"]);
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
        (3, 10.0)
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
    /// Every repetition happens once and in its turn; no two floors of a size follow each other within their group where
    /// there are pipelines enough between them; the same seed gives the same order.
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
        for floor in &plan.floors {
            let group: Vec<bool> = plan.order.iter().filter_map(|slot| {
                let is_floor = slot.scenario == floor.name;
                let member = infos.iter().any(|i| i.name == slot.scenario && i.floor.as_ref() == Some(&floor.name));
                (is_floor || member).then_some(is_floor)
            }).collect();
            let pipelines = group.iter().filter(|is_floor| !**is_floor).count();
            if floor.like.runs as usize <= pipelines {
                prop_assert!(group.windows(2).all(|pair| pair != [true, true]), "{group:?}");
            }
        }
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
