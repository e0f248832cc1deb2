//! Whether an outage had an effect: on clusters of others it is asked for, and whoever carries packets there may not do it.

use result::{FrameRows, RepetitionFolder, RepetitionMeta};
use timeline::frames_csv::FrameRow;
use timeline::{Point, UnixMicros};

/// A time in which nothing was to cross between the clusters, in the clock of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) from: UnixMicros,
    /// The end; none where the repetition ended before.
    pub(super) to: Option<UnixMicros>,
}

impl Cut {
    /// Whether a frame crossed although nothing was to. In the first half of the time it may have been on its way, or a policy
    /// on its way to the nodes.
    fn is_crossed_by(&self, row: &FrameRow) -> bool {
        let to = self.to.unwrap_or(UnixMicros(u64::MAX));
        let half = UnixMicros(self.from.0 + to.0.saturating_sub(self.from.0) / 2);
        let (generated, decoded) = (row.at(Point::Generated), row.at(Point::Decoded));
        generated.is_some_and(|at| at >= half) && decoded.is_some_and(|at| at < to)
    }
}

/// The outages through which frames went on arriving, each in a sentence.
pub(super) fn without_effect(
    folder: &RepetitionFolder,
    meta: &RepetitionMeta,
    cuts: &[Cut],
) -> anyhow::Result<Vec<String>> {
    if cuts.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<FrameRow> = FrameRows::open(folder)?.collect::<Result<_, _>>()?;
    let ended = cuts.iter().filter(|cut| cut.to.is_some());
    let told = ended.filter_map(|cut| {
        let crossed = rows.iter().filter(|row| cut.is_crossed_by(row)).count();
        let from = meta.measured_from_us.unwrap_or(meta.started_us);
        let after_s = cut.from.micros_since(from) as f64 / 1e6;
        (crossed > 0).then(|| {
            format!(
                "the outage after {after_s:.1} s had no effect: {crossed} frames that were generated in its second half were shown \
                 before its end. A cluster is cut off by network policies, and its network plugin does not enforce them, or \
                 not on connections that stand already"
            )
        })
    });
    Ok(told.collect())
}

#[cfg(test)]
mod tests {
    use timeline::RtpTimestamp;
    use timeline::frames_csv::Outcome;

    use super::*;

    #[test]
    fn a_frame_that_was_on_its_way_did_not_cross() {
        let cut = Cut {
            from: UnixMicros(1_000),
            to: Some(UnixMicros(3_000)),
        };
        let crosses = |generated, decoded: Option<u64>| {
            let mut row = FrameRow::new(RtpTimestamp(1), Outcome::Shown);
            row.set(Point::Generated, UnixMicros(generated));
            if let Some(at) = decoded {
                row.set(Point::Decoded, UnixMicros(at));
            }
            cut.is_crossed_by(&row)
        };
        assert!(crosses(2_000, Some(2_100)));
        assert!(!crosses(1_900, Some(2_100)), "in the first half");
        assert!(!crosses(2_900, Some(3_000)), "it waited for the end");
        assert!(!crosses(2_100, None), "lost");
    }
}
