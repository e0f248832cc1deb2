//! How to repeat it.

use serde::Serialize;

use crate::summary::Loaded;

/// How to repeat it.
#[derive(Debug, Serialize)]
pub(super) struct Again {
    command: String,
    seed: u64,
    order: Vec<String>,
    commands: Vec<(String, Vec<String>)>,
    scenario: String,
    scenario_file: String,
}

/// From what `run.json` says.
pub(super) fn again(loaded: &Loaded) -> anyhow::Result<Again> {
    let info = &loaded.info;
    Ok(Again {
        command: info.command.join(" "),
        seed: info.seed,
        order: info
            .order
            .iter()
            .map(|slot| format!("{} run {}", slot.scenario, slot.run))
            .collect(),
        commands: commands(loaded),
        scenario: serde_json::to_string_pretty(&info.scenario)?,
        scenario_file: info.scenario_file.clone(),
    })
}

/// The command lines of each scenario's first repetition.
fn commands(loaded: &Loaded) -> Vec<(String, Vec<String>)> {
    loaded
        .scenarios
        .iter()
        .filter_map(|one| {
            let run = one.runs.first()?;
            let lines = run
                .meta
                .processes
                .iter()
                .map(|process| process.command.join(" "))
                .collect();
            Some((one.info.name.clone(), lines))
        })
        .collect()
}

/// A time of the Unix epoch as people write it, in UTC: year-month-day hour:minute.
pub(crate) fn when(us: u64) -> String {
    let minutes = us / 60_000_000;
    let (days, minute) = (minutes / 1_440, minutes % 1_440);
    // Civil date from days since 1970-01-01: years run from March, so that the leap day is their last.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02} UTC",
        minute / 60,
        minute % 60
    )
}

#[cfg(test)]
mod tests {
    use super::when;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(when(0), "1970-01-01 00:00 UTC");
        assert_eq!(when(951_782_400_000_000), "2000-02-29 00:00 UTC");
        assert_eq!(when(1_795_315_541_000_000), "2026-11-22 02:45 UTC");
        assert_eq!(when(1_767_225_599_000_000), "2025-12-31 23:59 UTC");
    }
}
