//! What differs between the scenarios, with intervals, and in words where nothing is told apart.

use serde::Serialize;

use super::figure::Figure;
use crate::{
    charts::{self, Alt, IntervalRow},
    summary::{Difference, Summary},
    text::{interval, ms, signed_ms},
    view::{chosen, is_of_fabrics},
};

/// Differences of one kind, over an axis of their own: that of the WAN would flatten that of the fabrics.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    title: &'static str,
    sentences: Vec<Sentence>,
    figure: Figure,
}

/// A difference in words.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Sentence {
    /// Whether the two scenarios are told apart.
    told: bool,
    text: String,
}

/// The drawn differences by kind; none where no two scenarios can be compared.
pub(super) fn groups(summary: &Summary) -> anyhow::Result<Vec<Group>> {
    let (fabric, rest): (Vec<_>, Vec<_>) = chosen(&summary.differences)
        .into_iter()
        .partition(|one| is_of_fabrics(one));
    [
        ("Only the fabric differs", "between", fabric),
        ("Other pairs", "others", rest),
    ]
    .into_iter()
    .filter(|(_, _, pairs)| !pairs.is_empty())
    .map(|(title, id, pairs)| group(title, id, &pairs))
    .collect()
}

fn group(title: &'static str, id: &str, pairs: &[&Difference]) -> anyhow::Result<Group> {
    let sentences: Vec<_> = pairs.iter().map(|one| sentence(one)).collect();
    let rows: Vec<_> = pairs.iter().map(|one| row(one)).collect();
    let said: Vec<&str> = sentences.iter().map(|one| one.text.as_str()).collect();
    let alt = Alt {
        id: id.into(),
        title: format!("{title}: differences of the p50 with their 95 % intervals within this run"),
        description: said.join(" "),
    };
    let caption = "Left of zero the scenario before the minus is faster, right of it slower. A hollow point is not told from \
                   zero: as one of all the differences of this result, chance may have made it.";
    let figure = Figure::new(alt, caption.into(), |alt| {
        charts::intervals(alt, "difference of the p50, ms", &rows)
    })?;
    Ok(Group {
        title,
        sentences,
        figure,
    })
}

fn row(one: &Difference) -> IntervalRow {
    let of = one.p50_us;
    IntervalRow {
        name: format!("{} − {}", one.b, one.a),
        middle: of.difference / 1e3,
        ends: of.ci.map(|[low, high]| (low / 1e3, high / 1e3)),
        told: of.ci.is_some() && of.distinguishable,
    }
}

fn sentence(one: &Difference) -> Sentence {
    let of = one.p50_us;
    let (a, b) = (&one.a, &one.b);
    let by = signed_ms(of.difference);
    let (told, mut text) = match interval(of.ci) {
        None => (
            false,
            format!("{a} and {b}: {by} ms in a single pair; no interval."),
        ),
        Some(ci) if !of.distinguishable => (
            false,
            format!(
                "{a} and {b} are not distinguishable: {by} ms, 95 % within this run: {ci}{}.",
                could_find(of.detectable)
            ),
        ),
        Some(ci) => {
            let word = if of.difference > 0.0 {
                "slower"
            } else {
                "faster"
            };
            let by = ms(of.difference.abs());
            (
                true,
                format!("{b} is {word} than {a} by {by} ms, 95 % within this run: {ci}."),
            )
        }
    };
    if let Some(carried) = one.carried_us
        && let Some(ci) = interval(carried.ci)
    {
        let by = signed_ms(carried.difference);
        let sure = if carried.distinguishable {
            ""
        } else {
            ", not distinguishable"
        };
        text += &format!(" From encoded to received: {by} ms, 95 % within this run: {ci}{sure}.");
    }
    if !one.is_like_with_like() {
        text += " Their transports differ, so this is not the fabrics alone.";
    }
    Sentence { told, text }
}

/// What a difference that is not told apart may still be.
fn could_find(detectable: Option<f64>) -> String {
    detectable.map_or_else(String::new, |us| {
        format!(
            "; one of {} ms would be found in 80 of 100 such runs",
            ms(us)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        summary::{DifferenceUs, Setting},
        text::verdict,
    };

    fn difference(us: f64, ci: Option<[f64; 2]>, distinguishable: bool) -> Difference {
        let of = DifferenceUs {
            difference: us,
            ci,
            detectable: ci.map(|_| 98.0),
            p: ci.map(|_| if distinguishable { 0.001 } else { 0.4 }),
            distinguishable,
        };
        Difference {
            a: "s2".into(),
            b: "s3".into(),
            pairs: 8,
            differs: Vec::new(),
            p50_us: of,
            quiet_p50_us: None,
            carried_us: None,
            mean_us: of,
            p99_us: None,
            cliffs_delta: 0.1,
        }
    }

    #[test]
    fn a_difference_is_said_in_words() {
        let slower = sentence(&difference(420.0, Some([380.0, 460.0]), true));
        assert_eq!(
            slower.text,
            "s3 is slower than s2 by 0.42 ms, 95 % within this run: +0.38 to +0.46."
        );
        let faster = sentence(&difference(-420.0, Some([-460.0, -380.0]), true));
        assert!(faster.told && faster.text.starts_with("s3 is faster than s2 by 0.42 ms"));
        let mut part = difference(200.0, Some([-50.0, 450.0]), false);
        part.carried_us = Some(DifferenceUs {
            difference: 210.0,
            detectable: None,
            ci: Some([180.0, 240.0]),
            p: Some(0.001),
            distinguishable: true,
        });
        let said = sentence(&part).text;
        assert!(
            said.ends_with(
                "From encoded to received: +0.21 ms, 95 % within this run: +0.18 to +0.24."
            ),
            "{said}"
        );
        assert_eq!(verdict(&part), "only carried slower");
        let mut same = difference(20.0, Some([-50.0, 90.0]), false);
        same.differs.push(Setting::Transport);
        let same_said = sentence(&same);
        assert!(!same_said.told && same_said.text.contains("not distinguishable"));
        assert!(same_said.text.contains("transports differ"));
        assert!(
            same_said.text.contains("0.10 ms would be found"),
            "{}",
            same_said.text
        );
        let single = difference(20.0, None, false);
        assert!(sentence(&single).text.contains("no interval"));
        assert!(!row(&single).told && row(&single).ends.is_none());
    }
}
