//! Where the time goes.

use timeline::Stage;

use super::figure::Figure;
use crate::{
    charts::{self, Alt, StageRow},
    summary::Summary,
    text::ms,
};

/// The waterfall; none where nobody says where the time went.
pub(super) fn figure(summary: &Summary) -> anyhow::Result<Option<Figure>> {
    let pipelines = summary.scenarios.iter().filter_map(|one| {
        // Whose server keeps a trace has its three stages instead.
        let carried = one.carried_us.as_ref().filter(|_| one.server.is_some());
        Some((&one.name, one.stages_us.as_ref()?, carried))
    });
    let floors = summary
        .floors
        .iter()
        .map(|one| (&one.name, &one.stages_us, None));
    let rows: Vec<_> = pipelines
        .chain(floors)
        .filter(|(_, stages, _)| !stages.is_empty())
        .map(|(name, stages, carried)| StageRow {
            name,
            carried,
            stages: Stage::ALL.map(|stage| stages.get(stage.as_str())),
        })
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let said: Vec<String> = rows.iter().map(in_words).collect();
    let alt = Alt {
        id: "stages".into(),
        title: "Stages of the latency".into(),
        description: format!("Mean milliseconds. {}.", said.join("; ")),
    };
    let caption = "Mean of each stage, in the order in which a frame passes them; they sum to the mean latency, which is the \
                   number. A floor has only the codec. Another server than ours keeps no trace: 2–4 is all that lies \
                   between encoding and receiving.";
    Figure::new(alt, caption.into(), |alt| charts::waterfall(alt, &rows)).map(Some)
}

fn in_words(row: &StageRow<'_>) -> String {
    let mut stages: Vec<String> = Stage::ALL
        .iter()
        .zip(row.stages)
        .filter_map(|(stage, of)| Some(format!("{} {}", stage.as_str(), ms(of?.mean))))
        .collect();
    if let Some(carried) = row.carried {
        stages.push(format!("from encoded to received {}", ms(carried.mean)));
    }
    format!("{}: {}", row.name, stages.join(", "))
}
