//! Figures and verdicts in the words that everything shown shares.

use crate::summary::{Difference, PartsUs};

/// A cell without a value.
pub(crate) const BLANK: &str = "\u{2013}";

/// Microseconds as milliseconds, with as many digits as say something.
pub(crate) fn ms(us: f64) -> String {
    let ms = us / 1e3;
    match ms.abs() {
        size if size >= 100.0 => format!("{ms:.0}"),
        size if size >= 10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.2}"),
    }
}

/// Whole microseconds as milliseconds.
pub(crate) fn whole_ms(us: impl Into<i128>) -> String {
    ms(us.into() as f64)
}

/// Two ends in microseconds as milliseconds.
pub(crate) fn range_ms([low, high]: [i64; 2]) -> String {
    format!("{} to {}", ms(low as f64), ms(high as f64))
}

/// By how much a figure may be wrong in all, in milliseconds: at least that where a part is unknown, and none where what is known is next
/// to nothing.
pub(crate) fn in_all(of: &PartsUs) -> Option<String> {
    let all = ms(of.combined);
    if of.complete {
        Some(all)
    } else {
        (all != "0.00").then(|| format!("\u{2265} {all}"))
    }
}

/// A share of `of`, in percent; none of nothing.
pub(crate) fn percent(part: u64, of: u64) -> Option<String> {
    let share = part as f64 / of as f64 * 100.0;
    (of > 0).then(|| match share {
        0.0 => "0".into(),
        share if share < 0.1 => format!("{share:.3}"),
        share => format!("{share:.2}"),
    })
}

/// A probability as people write it: `<0.001`, `0.034`.
pub(crate) fn probability(p: f64) -> String {
    if p < 0.001 {
        "<0.001".into()
    } else {
        format!("{p:.3}")
    }
}

/// The interval of a difference in milliseconds, where there is one.
pub(crate) fn interval(ci: Option<[f64; 2]>) -> Option<String> {
    let [low, high] = ci?;
    Some(format!("{} to {}", signed_ms(low), signed_ms(high)))
}

/// Microseconds as milliseconds, with the sign.
pub(crate) fn signed_ms(us: f64) -> String {
    let sign = if us > 0.0 { "+" } else { "" };
    signed(&format!("{sign}{}", ms(us)))
}

/// A figure whose sign, where there is a minus, is one.
pub(crate) fn signed(figure: &str) -> String {
    figure.replace('-', "\u{2212}")
}

/// What the difference of the p50 says, in words; and where it says nothing, that of what was carried.
pub(crate) fn verdict(one: &Difference) -> String {
    let of = one.p50_us;
    let carried = one.carried_us.filter(|of| of.distinguishable);
    let said = match (of.ci, carried) {
        (None, _) => "one pair: no interval",
        (Some(_), Some(carried)) if !of.distinguishable => {
            if carried.difference > 0.0 {
                "only carried slower"
            } else {
                "only carried faster"
            }
        }
        (Some(_), None) if !of.distinguishable => "not distinguishable",
        (Some(_), _) if of.difference > 0.0 => "B is slower",
        (Some(_), _) => "B is faster",
    };
    if one.is_like_with_like() {
        said.into()
    } else {
        format!("{said}; transport differs")
    }
}
