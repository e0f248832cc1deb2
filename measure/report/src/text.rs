//! Figures and verdicts in the words that the terminal's tables and the pages share.

use crate::summary::{Difference, DifferenceUs};

/// Microseconds as milliseconds, with as many digits as say something.
pub(crate) fn ms(us: f64) -> String {
    let ms = us / 1e3;
    match ms.abs() {
        size if size >= 100.0 => format!("{ms:.0}"),
        size if size >= 10.0 => format!("{ms:.1}"),
        _ => format!("{ms:.2}"),
    }
}

/// A share of `of`, in percent.
pub(crate) fn percent(part: u64, of: u64) -> String {
    if of == 0 {
        return "-".into();
    }
    let share = part as f64 / of as f64 * 100.0;
    match share {
        0.0 => "0".into(),
        share if share < 0.1 => format!("{share:.3}"),
        share => format!("{share:.2}"),
    }
}

/// As people write it: `<0.001`, `0.034`.
pub(crate) fn probability(p: Option<f64>) -> String {
    match p {
        None => "-".into(),
        Some(p) if p < 0.001 => "<0.001".into(),
        Some(p) => format!("{p:.3}"),
    }
}

/// An interval in milliseconds.
pub(crate) fn interval(of: DifferenceUs) -> String {
    of.ci.map_or_else(
        || "-".into(),
        |[low, high]| format!("{} to {}", signed_ms(low), signed_ms(high)),
    )
}

/// Microseconds as milliseconds, with the sign.
pub(crate) fn signed_ms(us: f64) -> String {
    let text = ms(us);
    if us > 0.0 { format!("+{text}") } else { text }
}

/// Microseconds as milliseconds, where known.
pub(crate) fn known_us(us: Option<f64>) -> String {
    us.map_or_else(|| "-".into(), ms)
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
