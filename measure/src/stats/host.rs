//! Which seconds were disturbed, from `host.csv`.

use std::{io::Read, path::Path};

use anyhow::Context as _;

use super::Window;

/// The disturbed seconds of a repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disturbances {
    /// Disjoint and ascending.
    spans: Vec<Window>,
}

impl Disturbances {
    /// `spans` in any order; those that overlap count once.
    pub fn new(mut spans: Vec<Window>) -> Self {
        spans.retain(|span| span.from_us < span.to_us);
        spans.sort_by_key(|span| span.from_us);
        let mut disjoint: Vec<Window> = Vec::new();
        for span in spans {
            match disjoint.last_mut() {
                Some(last) if span.from_us <= last.to_us => {
                    last.to_us = last.to_us.max(span.to_us);
                }
                _ => disjoint.push(span),
            }
        }
        Self { spans: disjoint }
    }

    /// Reads `host.csv`; none where there is none, since then nobody watched the machine.
    pub fn read(path: &Path) -> anyhow::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let file =
            std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::parse(file)
            .map(Some)
            .with_context(|| format!("{} is not what `xrbench run` writes", path.display()))
    }

    /// The columns that count are `from_us` and `to_us`, where the second begins and ends, and `disturbed`.
    fn parse(from: impl Read) -> anyhow::Result<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(from);
        let headers = reader.headers()?.clone();
        let column = |name: &str| {
            headers
                .iter()
                .position(|header| header == name)
                .with_context(|| format!("no column {name:?}"))
        };
        let (from, to, disturbed) = (column("from_us")?, column("to_us")?, column("disturbed")?);
        let mut spans = Vec::new();
        for record in reader.records() {
            let record = record?;
            let time = |column| record.get(column).and_then(|text: &str| text.parse().ok());
            // A crash may cut the last line off.
            if let (Some(from_us), Some(to_us), Some("true")) =
                (time(from), time(to), record.get(disturbed))
            {
                spans.push(Window { from_us, to_us });
            }
        }
        Ok(Self::new(spans))
    }

    /// Whether the machine was disturbed at `at_us`.
    pub fn contains(&self, at_us: u64) -> bool {
        let after = self.spans.partition_point(|span| span.from_us <= at_us);
        after
            .checked_sub(1)
            .is_some_and(|place| self.spans[place].contains(at_us))
    }

    /// How many seconds of `window` were disturbed.
    pub fn seconds_in(&self, window: Window) -> f64 {
        self.spans
            .iter()
            .map(|span| {
                let (from, to) = (
                    span.from_us.max(window.from_us),
                    span.to_us.min(window.to_us),
                );
                to.saturating_sub(from) as f64 / 1e6
            })
            .sum()
    }

    /// The disturbed times.
    pub fn spans(&self) -> &[Window] {
        &self.spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_seconds_count_and_only_within_the_window() {
        let text = "from_us,to_us,steal_percent,disturbed,why\n\
                    1000000,2000000,0.0,false,\n2000000,3000000,9.0,true,steal\n\
                    3000000,4000000,9.0,true,steal\n9000000,10000000,0,tr";
        let disturbances = Disturbances::parse(text.as_bytes()).expect("such a file");
        assert!(!disturbances.contains(1_999_999));
        assert!(disturbances.contains(2_000_000) && disturbances.contains(3_999_999));
        assert!(!disturbances.contains(4_000_000));
        let window = Window {
            from_us: 0,
            to_us: 2_500_000,
        };
        assert!((disturbances.seconds_in(window) - 0.5).abs() < 1e-9);
        assert!(Disturbances::parse("a,b\n1,2\n".as_bytes()).is_err());
    }
}
