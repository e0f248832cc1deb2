//! Where the time goes.

use std::collections::BTreeMap;

use timeline::Stage;

use super::table::Table;
use crate::{
    summary::{ScenarioSummary, StageUs, Summary},
    text::{ms, whole_ms},
};

/// What a row is of; a floor is no scenario.
type Of<'a> = (&'a BTreeMap<String, StageUs>, Option<&'a ScenarioSummary>);

/// The table of stages.
pub(super) fn stages(summary: &Summary) -> Table {
    let scenarios = summary
        .scenarios
        .iter()
        .filter_map(|one| Some((one.into(), (one.stages_us.as_ref()?, Some(one)))));
    let floors = summary
        .floors
        .iter()
        .map(|one| (one.into(), (&one.stages_us, None)));
    let share = |share: f64| format!("{:.1}", share * 100.0);
    let mut table = Table::of(
        "Stages in milliseconds",
        "p50 / p99 / mean, of the frames with every point; the means sum to those frames’ mean latency. Codec: encode and decode as a part of the latency. All points: \
         frames for which every point is known. Out of order: frames that passed a point before the one in front of it, by clocks that \
         disagree.",
        "scenario",
        scenarios.chain(floors),
    );
    for stage in Stage::ALL.map(Stage::as_str) {
        table = table.number(stage, |(stages, _): &Of<'_>| {
            let of = stages.get(stage)?;
            let (p50, p99) = (whole_ms(of.p50), whole_ms(of.p99));
            Some(format!("{p50} / {p99} / {}", ms(of.mean)))
        });
    }
    table
        .number("codec", |(_, one)| (*one)?.codec_share.map(share))
        .unit("%")
        .number("all points", |(_, one)| {
            Some(share((*one)?.points?.complete_share))
        })
        .unit("%")
        .number("out of order", |(_, one)| {
            Some((*one)?.points?.out_of_order.to_string())
        })
        .build()
}
