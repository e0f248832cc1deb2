//! What differs between the scenarios, with intervals, and in words where nothing is told apart.

use std::collections::HashSet;

use serde::Serialize;

use super::{figure::Figure, table::Table};
use crate::{
    charts::{self, Alt, IntervalRow},
    summary::{Difference, DifferenceUs, Setting, Summary},
    text::{self, ms},
};

/// With more, each scenario is drawn against one other only; the table has all.
const MAX_DRAWN: usize = 15;

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Differences {
    groups: Vec<Group>,
    table: Table,
}

/// Differences of one kind, over an axis of their own: that of the WAN would flatten that of the fabrics.
#[derive(Debug, Serialize)]
struct Group {
    title: &'static str,
    sentences: Vec<Sentence>,
    figure: Figure,
}

/// What a difference says.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Sentence {
    /// Whether the two are told apart.
    told: bool,
    text: String,
}

/// The section; none where no two scenarios can be compared.
pub(super) fn differences(summary: &Summary) -> anyhow::Result<Option<Differences>> {
    let all = &summary.differences;
    let mut seen = HashSet::new();
    let (fabric, rest): (Vec<&Difference>, Vec<&Difference>) = all
        .iter()
        .filter(|one| is_of_fabrics(one) || all.len() <= MAX_DRAWN || seen.insert(one.b.as_str()))
        .partition(|one| is_of_fabrics(one));
    let groups: Vec<_> = [
        ("Only the fabric differs", "between", fabric),
        ("Other pairs", "others", rest),
    ]
    .into_iter()
    .filter(|(_, _, pairs)| !pairs.is_empty())
    .map(|(title, id, pairs)| group(title, id, &pairs))
    .collect::<anyhow::Result<_>>()?;
    Ok((!groups.is_empty()).then(|| Differences {
        groups,
        table: table(summary),
    }))
}

/// Whether the fabric is all in which the two are not alike.
fn is_of_fabrics(one: &Difference) -> bool {
    one.differs == [Setting::Fabric]
}

fn group(title: &'static str, id: &str, pairs: &[&Difference]) -> anyhow::Result<Group> {
    let sentences: Vec<_> = pairs.iter().map(|one| sentence(one)).collect();
    let rows: Vec<_> = pairs.iter().map(|one| row(one)).collect();
    let said: Vec<&str> = sentences.iter().map(|one| one.text.as_str()).collect();
    let alt = Alt {
        id: format!("{id}-drawing"),
        title: format!("{title}: differences of the p50 with their 95 % intervals"),
        description: said.join(" "),
    };
    Ok(Group {
        title,
        figure: Figure {
            id: format!("{id}-figure"),
            svg: charts::intervals(&alt, "difference of the p50, ms", &rows)?,
            title: alt.title,
            caption: "Left of zero the scenario before the minus is faster, right of it slower. A hollow point is not told from zero: as one of all the differences of this result, chance may have made it.".into(),
        },
        sentences,
    })
}

/// Milliseconds with a sign; the minus is one.
fn signed_ms(us: f64) -> String {
    text::signed_ms(us).replace('-', "\u{2212}")
}

fn interval(of: DifferenceUs) -> String {
    match of.ci {
        None => String::new(),
        Some([low, high]) => format!("{} to {}", signed_ms(low), signed_ms(high)),
    }
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
    let by = ms(of.difference.abs());
    let (told, mut text) = match of.ci {
        None => (
            false,
            format!(
                "{a} and {b}: {} ms in a single pair; no interval.",
                signed_ms(of.difference)
            ),
        ),
        Some(_) if !of.distinguishable => (
            false,
            format!(
                "{a} and {b} are not distinguishable: {} ms, 95 %: {}.",
                signed_ms(of.difference),
                interval(of)
            ),
        ),
        Some(_) => {
            let word = if of.difference > 0.0 {
                "slower"
            } else {
                "faster"
            };
            (
                true,
                format!("{b} is {word} than {a} by {by} ms, 95 %: {}.", interval(of)),
            )
        }
    };
    if let Some(carried) = one.carried_us.filter(|of| of.ci.is_some()) {
        let sure = if carried.distinguishable {
            ""
        } else {
            ", not distinguishable"
        };
        text.push_str(&format!(
            " From encoded to received: {} ms, 95 %: {}{sure}.",
            signed_ms(carried.difference),
            interval(carried)
        ));
    }
    if !one.is_like_with_like() {
        text.push_str(" Their transports differ, so this is not the fabrics alone.");
    }
    Sentence { told, text }
}

fn words(settings: &[Setting]) -> String {
    let words: Vec<_> = settings.iter().map(Setting::to_string).collect();
    words.join(", ")
}

fn table(summary: &Summary) -> Table {
    let heads = [
        "p50",
        "95 %",
        "% of first",
        "carried p50",
        "95 %",
        "quiet p50",
        "mean",
        "p99",
        "Cliff’s δ",
        "pairs",
        "p (Holm)",
        "differs",
    ];
    let mut table = Table::new("first → second", &heads);
    for one in &summary.differences {
        let p50 = summary
            .scenario(&one.a)
            .and_then(|a| a.latency_us)
            .map(|latency| latency.figures.p50)
            .filter(|p50| *p50 > 0);
        let quiet = one.quiet_p50_us.map(|of| signed_ms(of.difference));
        let p99 = one.p99_us.map(|of| signed_ms(of.difference));
        table.push(
            format!("{} → {}", one.a, one.b),
            "ours",
            vec![
                signed_ms(one.p50_us.difference),
                interval(one.p50_us),
                p50.map_or_else(String::new, |p50| {
                    format!("{:+.1}", one.p50_us.difference / p50 as f64 * 100.0)
                        .replace('-', "\u{2212}")
                }),
                one.carried_us
                    .map_or_else(String::new, |of| signed_ms(of.difference)),
                one.carried_us.map_or_else(String::new, interval),
                quiet.unwrap_or_default(),
                signed_ms(one.mean_us.difference),
                p99.unwrap_or_default(),
                format!("{:+.2}", one.cliffs_delta).replace('-', "\u{2212}"),
                one.pairs.to_string(),
                text::probability(one.p50_us.p),
                words(&one.differs),
            ],
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(us: f64, ci: Option<[f64; 2]>, distinguishable: bool) -> Difference {
        let of = DifferenceUs {
            difference: us,
            ci,
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
            "s3 is slower than s2 by 0.42 ms, 95 %: +0.38 to +0.46."
        );
        let faster = sentence(&difference(-420.0, Some([-460.0, -380.0]), true));
        assert!(faster.told && faster.text.starts_with("s3 is faster than s2 by 0.42 ms"));
        let mut part = difference(200.0, Some([-50.0, 450.0]), false);
        part.carried_us = Some(DifferenceUs {
            difference: 210.0,
            ci: Some([180.0, 240.0]),
            p: Some(0.001),
            distinguishable: true,
        });
        let said = sentence(&part).text;
        assert!(
            said.ends_with("From encoded to received: +0.21 ms, 95 %: +0.18 to +0.24."),
            "{said}"
        );
        assert_eq!(text::verdict(&part), "only carried slower");
        let mut same = difference(20.0, Some([-50.0, 90.0]), false);
        same.differs.push(Setting::Transport);
        let same_said = sentence(&same);
        assert!(!same_said.told && same_said.text.contains("not distinguishable"));
        assert!(same_said.text.contains("transports differ"));
        let single = difference(20.0, None, false);
        assert!(sentence(&single).text.contains("no interval"));
        assert!(!row(&single).told && row(&single).ends.is_none());
    }
}
