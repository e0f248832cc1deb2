//! What two results do not have alike of what they were made with: versions of programs and codecs, and settings of machines.

use std::collections::{BTreeMap, BTreeSet};

use result::RunInfo;

/// Names of one kind that a note tells.
const NAMED: usize = 6;

/// A value is told up to so many letters: programs say their licence behind their version.
const LETTERS: usize = 60;

/// Versions that are not those of the other, of programs, codecs and images; none where they are, or one of the two kept none. What has a
/// digest in both is told by it.
pub(crate) fn versions(a: &RunInfo, b: &RunInfo) -> Option<String> {
    let without_digest = |of: &RunInfo, other: &RunInfo| -> BTreeMap<String, String> {
        let has = |name: &String| of.digests.contains_key(name) && other.digests.contains_key(name);
        let versions = of.versions.iter().filter(|(name, _)| !has(name));
        versions
            .map(|(name, of)| (name.clone(), of.clone()))
            .collect()
    };
    let told = unlike(&without_digest(a, b), &without_digest(b, a))?;
    Some(format!("other versions: {told}"))
}

/// Settings of the machine when each of the two began that are not those of the other; none where they are, or one of the two kept none.
pub(crate) fn machine_settings(a: &RunInfo, b: &RunInfo) -> Option<String> {
    let (a, b) = (a.states.first()?, b.states.first()?);
    let told = unlike(&a.settings, &b.settings)?;
    Some(format!("the machines were not set alike: {told}"))
}

/// What is not alike in the two, with both values; none where all is, or one of the two is empty.
fn unlike(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Option<String> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| a.get(*name) != b.get(*name));
    let differ: Vec<_> = differ.collect();
    let said: Vec<_> = differ
        .iter()
        .take(NAMED)
        .map(|name| format!("{name} {} and {}", value(a, name), value(b, name)))
        .collect();
    let more = match differ.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (!said.is_empty()).then(|| format!("{}{more}", said.join(", ")))
}

fn value(of: &BTreeMap<String, String>, name: &str) -> String {
    let Some(value) = of.get(name) else {
        return "none".into();
    };
    if value.chars().count() > LETTERS {
        let cut: String = value.chars().take(LETTERS).collect();
        return format!("\"{cut}\u{2026}\"");
    }
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use result::MachineState;

    fn of<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        BTreeMap::from(pairs)
    }

    /// Programs have digests on one machine, and versions of their images alone on clusters.
    #[test]
    fn versions_are_told_where_no_digest_tells() {
        let info = |client: &str, codec: &str, digests| RunInfo {
            versions: of([("x264enc", codec), ("xr-client", client)]),
            digests,
            ..RunInfo::default()
        };
        let none = BTreeMap::new;
        let a = info("0.1.0", "plugin 1.22.0, libx264.so.164", none());
        assert_eq!(versions(&a, &a), None);
        let b = info("0.1.0", "plugin 1.24.0, libx264.so.164", none());
        assert_eq!(
            versions(&a, &b).as_deref(),
            Some(
                "other versions: x264enc \"plugin 1.22.0, libx264.so.164\" and \"plugin 1.24.0, libx264.so.164\""
            )
        );
        let image = info("0.2.0", "plugin 1.22.0, libx264.so.164", none());
        let said = versions(&a, &image).expect("another image");
        assert_eq!(said, "other versions: xr-client \"0.1.0\" and \"0.2.0\"");
        let known = |digest| of([("xr-client", digest)]);
        let [one, other] = [("0.1.0", "aa"), ("0.2.0", "bb")]
            .map(|(version, digest)| info(version, "plugin 1.22.0", known(digest)));
        assert_eq!(versions(&one, &other), None, "its digest tells");
        assert_eq!(versions(&a, &RunInfo::default()), None, "nothing is known");
        let mut without = a.clone();
        without.versions.remove("x264enc");
        let said = versions(&without, &a).expect("it has no encoder");
        assert!(said.contains("x264enc none and \"plugin"), "{said}");
    }

    #[test]
    fn settings_of_machines_are_told_from_what_changes_by_itself() {
        let set = |governor: &str, load: &str| RunInfo {
            states: vec![MachineState {
                settings: of([("frequency governors", governor), ("hypervisor", "kvm")]),
                readings: of([("load over a minute", load)]),
                ..MachineState::default()
            }],
            ..RunInfo::default()
        };
        let a = set("2 of performance", "0.1");
        assert_eq!(machine_settings(&a, &set("2 of performance", "7")), None);
        let said = machine_settings(&a, &set("2 of powersave", "0.1")).expect("set otherwise");
        assert_eq!(
            said,
            "the machines were not set alike: frequency governors \"2 of performance\" and \"2 of powersave\""
        );
        assert_eq!(machine_settings(&a, &RunInfo::default()), None);
    }

    #[test]
    fn many_and_long_values_are_cut() {
        let all = |value: &str| (0..9).map(|n| (n.to_string(), value.repeat(90))).collect();
        let said = unlike(&all("a"), &all("b")).expect("nine");
        assert!(
            said.ends_with(", and 3 more") && said.len() < 1_000,
            "{said}"
        );
    }
}
