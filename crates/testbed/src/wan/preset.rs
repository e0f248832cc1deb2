//! WANs by name, each with the source of its figures.

use std::time::Duration;

use thiserror::Error;

use super::model::{Direction, Jitter, Wan};

/// A WAN that has a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub name: &'static str,
    /// Where its figures come from, for reports.
    pub source: &'static str,
    /// Both directions.
    direction: Direction,
}

/// The presets.
pub const PRESETS: [Preset; 2] = [
    Preset {
        name: "local",
        source: "Two machines of one site: half of the 500 us that J. Dean's latency numbers (LADIS 2009) give for a round trip \
                 within one data centre. The jitter, a tenth of the delay, is assumed.",
        direction: steady(Duration::from_micros(250), Duration::from_micros(25)),
    },
    Preset {
        name: "frankfurt-geneva",
        source: "Half of 12.5 ms, the median round trip between Azure's regions Germany West Central (Frankfurt) and \
                 Switzerland West (Geneva) in June 2025: 12 ms one way round, 13 ms the other \
                 (https://learn.microsoft.com/azure/networking/azure-network-latency). Light in fibre along the great \
                 circle of 460 km takes 2.3 ms, at 4.9 us/km: the route is 2.8 times as long. The jitter is assumed.",
        direction: steady(Duration::from_micros(6_250), Duration::from_micros(50)),
    },
];

const fn steady(delay: Duration, jitter: Duration) -> Direction {
    Direction {
        delay,
        jitter: Some(Jitter::Normal(jitter)),
        loss: None,
        reorder_percent: 0.0,
        rate_bps: None,
        queue_bytes: 0,
    }
}

/// There is no preset of that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "there is no WAN preset {name:?}; did you mean {nearest}? There are: {}",
    names()
)]
pub struct UnknownPreset {
    /// What was asked for.
    pub name: String,
    /// The preset whose name is most like it.
    pub nearest: &'static str,
}

/// The names of all presets, for people.
pub fn names() -> String {
    PRESETS.map(|preset| preset.name).join(", ")
}

impl Wan {
    /// The preset of that name: the same in both directions.
    ///
    /// # Panics
    /// Never: the list of presets is not empty.
    pub fn preset(name: &str) -> Result<Self, UnknownPreset> {
        let Some(preset) = find(name) else {
            let nearest = PRESETS
                .into_iter()
                .max_by(|a, b| likeness(name, a).total_cmp(&likeness(name, b)))
                .expect("there are presets");
            return Err(UnknownPreset {
                name: name.to_owned(),
                nearest: nearest.name,
            });
        };
        Ok(Self {
            preset: Some(preset.name.to_owned()),
            a_to_b: preset.direction,
            b_to_a: preset.direction,
        })
    }

    /// Where its figures come from; none for one that was written out, and for a preset that was changed since.
    pub fn source(&self) -> Option<&'static str> {
        let preset = find(self.preset.as_deref()?)?;
        let unchanged = [self.a_to_b, self.b_to_a] == [preset.direction; 2];
        unchanged.then_some(preset.source)
    }
}

fn find(name: &str) -> Option<Preset> {
    PRESETS.into_iter().find(|preset| preset.name == name)
}

fn likeness(name: &str, preset: &Preset) -> f64 {
    strsim::jaro_winkler(&name.to_lowercase(), preset.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_found_with_its_source() {
        let wan = Wan::preset("frankfurt-geneva").expect("a preset");
        assert_eq!(wan.a_to_b, wan.b_to_a);
        assert_eq!(
            wan.describe(),
            "frankfurt-geneva: 6.25 ms, jitter 0.05 ms (normal, standard deviation) each way"
        );
        assert!(
            wan.source()
                .is_some_and(|source| source.contains("12.5 ms"))
        );
        for preset in PRESETS {
            let wan = Wan::preset(preset.name).expect("a preset");
            assert_eq!(wan.a_to_b.check(), Ok(()), "{}", preset.name);
        }
    }

    #[test]
    fn a_changed_preset_has_no_source() {
        let mut wan = Wan::preset("local").expect("a preset");
        assert!(wan.source().is_some());
        wan.b_to_a.delay += Duration::from_millis(2);
        assert_eq!(wan.source(), None);
        assert_eq!(Wan::default().source(), None);
    }

    #[test]
    fn an_unknown_name_gets_the_nearest_and_the_list() {
        let error = Wan::preset("Frankfurt").expect_err("unknown");
        assert_eq!(error.nearest, "frankfurt-geneva");
        assert_eq!(Wan::preset("lcoal").expect_err("unknown").nearest, "local");
        assert_eq!(
            error.to_string(),
            "there is no WAN preset \"Frankfurt\"; did you mean frankfurt-geneva? There are: local, frankfurt-geneva"
        );
    }
}
