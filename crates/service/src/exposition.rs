//! The text of `/metrics`: OpenMetrics for who asks for it, and the classic Prometheus text for everybody else.
//!
//! The registry writes OpenMetrics alone, and a family once for each place at which it was registered; scrapers want each family
//! once, with all of its samples.

use std::collections::HashMap;

/// A form of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' text format 0.0.4.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// The form that an `Accept` header asks for: the one with the higher weight, and of two equal ones OpenMetrics. Without a
    /// header, or one that names neither, it is the classic form, which everybody reads.
    pub fn wanted(accept: Option<&str>) -> Self {
        let weight = |kind: &str| {
            let all = accept.unwrap_or_default().split(',').filter_map(|one| {
                let mut parts = one.split(';').map(str::trim);
                let is_it = parts.next()?.eq_ignore_ascii_case(kind);
                let mut weights = parts.filter_map(|part| part.strip_prefix("q="));
                let weight = weights
                    .next()
                    .map_or(Some(1.0), |text| text.parse::<f32>().ok());
                weight.filter(|weight| is_it && *weight > 0.0)
            });
            all.fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A family of samples, as OpenMetrics has it.
#[derive(Debug, Default)]
struct Family<'a> {
    name: &'a str,
    help: Option<&'a str>,
    kind: Option<&'a str>,
    unit: Option<&'a str>,
    samples: Vec<&'a str>,
}

/// OpenMetrics text of a registry in the form that was asked for, each family once.
pub fn write(form: Form, registry: &str) -> String {
    let families = families(registry);
    let mut text = String::with_capacity(registry.len());
    for family in &families {
        let (name, kind) = match (form, family.kind) {
            // In the classic form a type is that of the samples' own name.
            (Form::Classic, Some("counter")) => (format!("{}_total", family.name), Some("counter")),
            (Form::Classic, Some("info")) => (format!("{}_info", family.name), Some("gauge")),
            (Form::Classic, Some("unknown")) => (family.name.to_owned(), Some("untyped")),
            (_, kind) => (family.name.to_owned(), kind),
        };
        if let Some(help) = family.help {
            text.push_str(&format!("# HELP {name} {help}\n"));
        }
        if let Some(kind) = kind {
            text.push_str(&format!("# TYPE {name} {kind}\n"));
        }
        if let (Form::OpenMetrics, Some(unit)) = (form, family.unit) {
            text.push_str(&format!("# UNIT {name} {unit}\n"));
        }
        for sample in &family.samples {
            text.push_str(sample);
            text.push('\n');
        }
    }
    if form == Form::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        let Some(about) = line.strip_prefix("# ") else {
            if let Some(place) = current {
                let family: &mut Family<'_> = &mut families[place];
                family.samples.push(line);
            }
            continue;
        };
        let mut words = about.splitn(3, ' ');
        let (Some(what), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        let place = *places.entry(name).or_insert_with(|| {
            families.push(Family {
                name,
                ..Family::default()
            });
            families.len() - 1
        });
        current = Some(place);
        let family = &mut families[place];
        let rest = words.next();
        match what {
            "HELP" => family.help = family.help.or(rest),
            "TYPE" => family.kind = family.kind.or(rest),
            "UNIT" => family.unit = family.unit.or(rest),
            _ => {}
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::{Registry, Unit};

    use super::*;

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                                  text/plain;version=0.0.4;q=0.4,*/*;q=0.2";
        for (accept, form) in [
            (None, Form::Classic),
            (Some("*/*"), Form::Classic),
            (Some("text/plain; version=0.0.4"), Form::Classic),
            (Some("application/json"), Form::Classic),
            (
                Some("application/openmetrics-text; version=1.0.0"),
                Form::OpenMetrics,
            ),
            (Some("Application/OpenMetrics-Text"), Form::OpenMetrics),
            (Some(PROMETHEUS), Form::OpenMetrics),
            (
                Some("application/openmetrics-text;q=0,text/plain"),
                Form::Classic,
            ),
            (
                Some("text/plain;q=1,application/openmetrics-text;q=0.5"),
                Form::Classic,
            ),
            (Some("application/openmetrics-text;q=much"), Form::Classic),
        ] {
            assert_eq!(Form::wanted(accept), form, "{accept:?}");
        }
    }

    fn registry() -> String {
        let mut registry = Registry::default();
        registry.register(
            "xr_build",
            "The program",
            Info::new(vec![("program", "xr-test")]),
        );
        for listener in ["ops", "feeds"] {
            let labels = [("listener".into(), listener.into())];
            let of = registry.sub_registry_with_labels(labels.into_iter());
            of.register(
                "xr_connections",
                "Open connections",
                Gauge::<i64>::default(),
            );
            of.register(
                "xr_refused",
                "Refused connections",
                Counter::<u64>::default(),
            );
        }
        registry.register_with_unit("xr_size", "A size", Unit::Bytes, Gauge::<i64>::default());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn each_family_stands_once_with_all_of_its_samples() {
        let text = write(Form::OpenMetrics, &registry());
        assert_eq!(
            text.matches("# TYPE xr_connections gauge\n").count(),
            1,
            "{text}"
        );
        assert!(
            text.contains(
                "xr_connections{listener=\"ops\"} 0\nxr_connections{listener=\"feeds\"} 0\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("# UNIT xr_size_bytes bytes\n"), "{text}");
    }

    #[test]
    fn the_classic_form_types_the_samples_own_names() {
        let text = write(Form::Classic, &registry());
        for line in [
            "# TYPE xr_refused_total counter",
            "xr_refused_total{listener=\"feeds\"} 0",
            "# TYPE xr_build_info gauge",
            "xr_build_info{program=\"xr-test\"} 1",
            "# TYPE xr_size_bytes gauge",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert!(
            !text.contains("# EOF") && !text.contains("# UNIT"),
            "{text}"
        );
    }
}
