//! From the text of a scenario file to [`File`]: `--set` applied, defaults merged, every unknown key refused with a hint.

use std::path::Path;

use serde::de::DeserializeOwned;
use service::ConfigError;
use toml::{Table, Value};

use super::choice::hint;
use super::{ClusterName, Fabric, Fault, File, SCHEMA, Scenario, Server, Span, WanKeys};
use settings::{Compare, Pipeline, Presentation};

/// What the command line changes of a scenario file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Each `KEY=VALUE` of `--set`.
    pub set: Vec<String>,
    /// Each name of `--only`; empty for all.
    pub only: Vec<String>,
}

/// Reads a scenario file.
pub fn load(path: &Path, overrides: &Overrides) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let why = format!("it cannot be read ({error})");
        ConfigError::new(
            "SCENARIO",
            path.display().to_string(),
            why,
            "Give the path of a scenario file, such as scenarios/one-machine.toml.",
        )
    })?;
    Ok(parse(&text, &path.display().to_string(), overrides)?)
}

/// Reads the text of a scenario file that came from `origin`.
pub fn parse(text: &str, origin: &str, overrides: &Overrides) -> Result<File, ConfigError> {
    let at = At { origin };
    let mut file: Table = toml::from_str(text).map_err(|error| {
        at.wrong(
            "the file",
            "",
            &format!(
                "it is no TOML ({})",
                error.to_string().trim().replace('\n', " ")
            ),
        )
    })?;
    let mut everywhere = Table::new();
    for assignment in &overrides.set {
        set(&mut file, &mut everywhere, assignment)?;
    }
    let defaults = match file.remove("defaults") {
        None => Table::new(),
        Some(Value::Table(defaults)) => defaults,
        Some(other) => {
            return Err(at.wrong(
                "defaults",
                &other.to_string(),
                "it must be a table: [defaults]",
            ));
        }
    };
    at.check_keys(&defaults, "defaults", &known::<Scenario>())?;
    for bad in ["name"] {
        if let Some(value) = defaults.get(bad) {
            return Err(at.wrong(
                "defaults.name",
                &value.to_string(),
                "every scenario needs a name of its own",
            ));
        }
    }
    at.check_schema(&file)?;
    let mut top = known::<File>();
    top.insert("defaults".to_owned(), Value::Table(Table::new()));
    // The scenarios are checked one by one, each by its name.
    top.insert("scenario".to_owned(), Value::Array(Vec::new()));
    at.check_keys(&file, "", &top)?;
    at.merge_defaults(&mut file, &defaults, &everywhere)?;
    let mut file: File = at.read(&Value::Table(file), "the file")?;
    at.check(&file)?;
    select(&mut file, &overrides.only)?;
    Ok(file)
}

/// Applies one `--set`: to a key of the file, to the scenario whose name comes first, or else to every scenario.
fn set(file: &mut Table, everywhere: &mut Table, assignment: &str) -> Result<(), ConfigError> {
    let wrong = |why: &str| {
        ConfigError::new(
            "--set",
            assignment,
            why,
            "Write KEY=VALUE: a key of every scenario (duration=5s, client.latency_ms=20), of one (NAME.duration=5s), or of \
             the file (seed=7).",
        )
    };
    let (path, value) = assignment
        .split_once('=')
        .ok_or_else(|| wrong("it has no `=`"))?;
    let keys: Vec<&str> = path.trim().split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(wrong("a part of its key is empty"));
    }
    // A value that is no TOML by itself is a text: nobody wants to quote `30s` twice for a shell.
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let named = scenarios(file)
        .position(|table| table.get("name").and_then(Value::as_str) == Some(keys[0]));
    let top = matches!(
        keys[0],
        "schema"
            | "name"
            | "description"
            | "seed"
            | "rest"
            | "disturbed"
            | "presentation"
            | "defaults"
    );
    if let Some(index) = named {
        let scenario = scenarios(file).nth(index).expect("found above");
        return put(scenario, &keys[1..], value)
            .ok_or_else(|| wrong("its key does not lead to a value"));
    }
    let target = if top { file } else { everywhere };
    put(target, &keys, value).ok_or_else(|| wrong("its key does not lead to a value"))
}

fn scenarios(file: &mut Table) -> impl Iterator<Item = &mut Table> {
    file.get_mut("scenario")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_table_mut)
}

fn put(table: &mut Table, keys: &[&str], value: Value) -> Option<()> {
    let (last, path) = keys.split_last()?;
    let mut table = table;
    for key in path {
        let inner = table
            .entry(*key)
            .or_insert_with(|| Value::Table(Table::new()));
        table = inner.as_table_mut()?;
    }
    table.insert((*last).to_owned(), value);
    Some(())
}

/// Takes from `under` what `over` does not say.
fn merge(over: &mut Table, under: &Table) {
    for (key, value) in under {
        match (over.get_mut(key), value) {
            (Some(Value::Table(over)), Value::Table(under)) => merge(over, under),
            (Some(_), _) => {}
            (None, value) => drop(over.insert(key.clone(), value.clone())),
        }
    }
}

/// The keys of `T`, with tables where it has tables: read from an example, so that they are never out of step.
fn known<T: Example>() -> Table {
    Table::try_from(T::example()).expect("an example has no other keys than texts")
}

/// A value of a configuration type in which every key is present.
trait Example: serde::Serialize + DeserializeOwned {
    fn example() -> Self;
}

impl Example for Scenario {
    fn example() -> Self {
        let mut table = Table::new();
        table.insert("name".into(), Value::String("example".into()));
        table.insert("floor".into(), Value::Table(Table::new()));
        let mut example: Self = Value::Table(table)
            .try_into()
            .expect("a name is all that a scenario needs");
        example.paper = Some(1);
        example.wan = Some(WanKeys::example());
        example.fault = vec![Fault::example()];
        example.server = Some(Server::default());
        example
    }
}

impl Example for File {
    fn example() -> Self {
        Self {
            schema: SCHEMA,
            name: String::new(),
            description: String::new(),
            seed: 1,
            rest: super::default_rest(),
            disturbed: super::Disturbed::default(),
            presentation: Some(Presentation {
                compare: Compare::Steps,
            }),
            scenario: vec![Scenario::example()],
        }
    }
}

fn select(file: &mut File, only: &[String]) -> Result<(), ConfigError> {
    let names: Vec<String> = file
        .scenario
        .iter()
        .map(|scenario| scenario.name.clone())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in only {
        if !names.contains(&name.as_str()) {
            let remedy = format!("Name one of the file's scenarios: {}.", hint(name, &names));
            return Err(ConfigError::new(
                "--only",
                name,
                "the file has no scenario of that name",
                remedy,
            ));
        }
    }
    if !only.is_empty() {
        file.scenario
            .retain(|scenario| only.contains(&scenario.name));
    }
    Ok(())
}

/// Where a mistake is.
struct At<'a> {
    origin: &'a str,
}

impl At<'_> {
    fn wrong(&self, key: &str, value: &str, why: &str) -> ConfigError {
        let origin = format!("{key} in {}", self.origin);
        ConfigError::new(
            origin,
            value.trim_matches('"'),
            why,
            "docs/scenarios.md has every key, its unit and an example.",
        )
    }

    fn check_schema(&self, file: &Table) -> Result<(), ConfigError> {
        match file.get("schema") {
            Some(Value::Integer(version)) if *version == i64::from(SCHEMA) => Ok(()),
            Some(other) => {
                let why = format!("this program reads version {SCHEMA} of the format");
                Err(self.wrong("schema", &other.to_string(), &why))
            }
            None => Err(self.wrong(
                "schema",
                "",
                &format!("it is missing; write `schema = {SCHEMA}`"),
            )),
        }
    }

    /// Refuses the first key that `known` does not have.
    fn check_keys(&self, table: &Table, path: &str, known: &Table) -> Result<(), ConfigError> {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        for (key, value) in table {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            match (value, known.get(key)) {
                (_, None) => {
                    let why = format!("unknown key; {}", hint(key, &names));
                    return Err(self.wrong(&path, &value.to_string(), &why));
                }
                (Value::Table(table), Some(Value::Table(known))) => {
                    self.check_keys(table, &path, known)?;
                }
                (Value::Array(tables), Some(Value::Array(known))) => {
                    let Some(Value::Table(known)) = known.first() else {
                        continue;
                    };
                    for table in tables.iter().filter_map(Value::as_table) {
                        self.check_keys(table, &path, known)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn merge_defaults(
        &self,
        file: &mut Table,
        defaults: &Table,
        everywhere: &Table,
    ) -> Result<(), ConfigError> {
        let Some(Value::Array(all)) = file.get_mut("scenario") else {
            return Err(self.wrong(
                "scenario",
                "",
                "there is none; begin each with [[scenario]]",
            ));
        };
        let known = known::<Scenario>();
        self.check_keys(everywhere, "--set", &known)?;
        for (index, scenario) in all.iter_mut().enumerate() {
            let Value::Table(scenario) = scenario else {
                return Err(self.wrong(
                    "scenario",
                    &scenario.to_string(),
                    "it must be a table: [[scenario]]",
                ));
            };
            let name = scenario
                .get("name")
                .and_then(Value::as_str)
                .map(ToOwned::to_owned);
            let path = format!(
                "scenario {}",
                name.unwrap_or_else(|| format!("number {}", index + 1))
            );
            self.check_keys(scenario, &path, &known)?;
            let mut over = everywhere.clone();
            merge(&mut over, scenario);
            *scenario = over;
            merge(scenario, defaults);
            // Each alone first, for an error that names the scenario and the key.
            self.read_each(scenario, &path)?;
        }
        Ok(())
    }

    /// Tries each key by itself, because an error of the whole would not say which one it is.
    fn read_each(&self, scenario: &Table, path: &str) -> Result<(), ConfigError> {
        if !scenario.contains_key("name") {
            return Err(self.wrong(&format!("{path}.name"), "", "it is missing"));
        }
        for (key, value) in scenario {
            let mut alone = vec![(format!("{path}.{key}"), single(&[key], value.clone()))];
            if let Value::Table(table) = value {
                alone = table
                    .iter()
                    .map(|(inner, value)| {
                        (
                            format!("{path}.{key}.{inner}"),
                            single(&[key, inner], value.clone()),
                        )
                    })
                    .collect();
            }
            for (path, mut table) in alone {
                let value = leaf(&Value::Table(table.clone())).to_string();
                table
                    .entry("name")
                    .or_insert_with(|| Value::String("x".into()));
                if let Err(error) = Value::Table(table).try_into::<Scenario>() {
                    return Err(self.wrong(&path, &value, first_line(&error)));
                }
            }
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, value: &Value, what: &str) -> Result<T, ConfigError> {
        value
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| self.wrong(what, "", first_line(&error)))
    }

    /// What types cannot say.
    fn check(&self, file: &File) -> Result<(), ConfigError> {
        if file.scenario.is_empty() {
            return Err(self.wrong(
                "scenario",
                "[]",
                "there is none; begin each with [[scenario]]",
            ));
        }
        let mut seen = std::collections::BTreeSet::new();
        for scenario in &file.scenario {
            let path = |key: &str| format!("scenario {}.{key}", scenario.name);
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if scenario.name.is_empty()
                || scenario.name.len() > 64
                || !scenario.name.chars().all(plain)
            {
                let why = "a name is 1 to 64 letters, digits, `-` or `_`: it names a folder";
                return Err(self.wrong(&path("name"), &scenario.name, why));
            }
            if !seen.insert(&scenario.name) {
                return Err(self.wrong(
                    &path("name"),
                    &scenario.name,
                    "two scenarios have this name",
                ));
            }
            if scenario.name.starts_with("floor-") {
                return Err(self.wrong(
                    &path("name"),
                    &scenario.name,
                    "names that begin with floor- are the floors' own",
                ));
            }
            if scenario.pipeline == Pipeline::Floor {
                return Err(self.wrong(
                    &path("pipeline"),
                    "floor",
                    "ask for it by `floor = {}` in the scenario that needs it",
                ));
            }
            if !(1..=1000).contains(&scenario.runs) {
                return Err(self.wrong(
                    &path("runs"),
                    &scenario.runs.to_string(),
                    "it must be 1 to 1000",
                ));
            }
            if let Some(number) = scenario.paper.filter(|number| !(1..=5).contains(number)) {
                return Err(self.wrong(
                    &path("paper"),
                    &number.to_string(),
                    "the paper has scenarios 1 to 5",
                ));
            }
            if !(1..=240).contains(&scenario.fps) {
                return Err(self.wrong(
                    &path("fps"),
                    &scenario.fps.to_string(),
                    "it must be 1 to 240 frames a second",
                ));
            }
            if scenario.duration < Span::seconds(1) {
                return Err(self.wrong(
                    &path("duration"),
                    &scenario.duration.to_string(),
                    "it must be at least 1s",
                ));
            }
            let source = scenario.source.as_str();
            if source != "test" && !source.starts_with("file:") && !source.starts_with("gst:") {
                let why = "no such source; write file:PATH, test, or gst:LAUNCH LINE";
                return Err(self.wrong(&path("source"), source, why));
            }
            self.check_network(scenario)?;
            if let Some(server) = &scenario.server {
                server
                    .check(scenario)
                    .map_err(|(key, value, why)| self.wrong(&path(key), &value, &why))?;
            }
            if scenario.pipeline.is_reference() && source.starts_with("gst:") {
                return Err(self.wrong(
                    &path("source"),
                    source,
                    "ffmpeg cannot read it; give the reference file:PATH or test",
                ));
            }
        }
        Ok(())
    }
}

impl At<'_> {
    /// What a fabric, its WAN and its faults must agree on.
    fn check_network(&self, scenario: &Scenario) -> Result<(), ConfigError> {
        let path = |key: &str| format!("scenario {}.{key}", scenario.name);
        let fabric = scenario.fabric;
        if scenario.pipeline.is_reference() && !scenario.fault.is_empty() {
            let why = "an unmodified ffmpeg ends with the connection that it loses, and does not come back; leave the faults \
                 out for this one";
            return Err(self.wrong(&path("fault"), "", why));
        }
        if scenario.overlapping && !matches!(fabric, Fabric::Liqo | Fabric::LiqoV0_10) {
            let why = "only Liqo translates addresses; this goes with fabric = \"liqo\"";
            return Err(self.wrong(&path("overlapping"), "true", why));
        }
        if scenario.renderer.cluster == ClusterName::B && !fabric.has_wan() {
            let why = format!("fabric \"{fabric}\" has no cluster B");
            return Err(self.wrong(&path("renderer.cluster"), "b", &why));
        }
        if scenario.limits && !fabric.is_lab() {
            let why = "it limits clusters, and this scenario has none; give it a fabric";
            return Err(self.wrong(&path("limits"), "true", why));
        }
        if let Some(keys) = &scenario.wan {
            if !fabric.has_wan() {
                let why = format!("fabric \"{fabric}\" has no WAN: one needs two clusters");
                let value = keys.preset.as_deref().unwrap_or_default();
                return Err(self.wrong(&path("wan"), value, &why));
            }
            let wan = keys
                .wan()
                .map_err(|(key, why)| self.wrong(&path(&key), "", &why))?;
            let bps = scenario.bitrate.bps();
            for (name, direction) in [("a_to_b", wan.a_to_b), ("b_to_a", wan.b_to_a)] {
                if let Some(rate) = direction.rate_bps.filter(|rate| *rate <= bps) {
                    let why = format!(
                        "{name} carries {rate} bits a second, no more than the video's {bps} before any header: the queue \
                         would grow until packets are dropped; raise the rate or lower the bitrate"
                    );
                    return Err(self.wrong(&path("wan.rate"), &rate.to_string(), &why));
                }
            }
        }
        for fault in &scenario.fault {
            fault
                .check(scenario)
                .map_err(|(key, value, why)| self.wrong(&path(&key), &value, &why))?;
        }
        Ok(())
    }
}

fn single(path: &[&str], value: Value) -> Table {
    let mut table = Table::new();
    put(&mut table, path, value).expect("an empty table takes any key");
    table
}

fn leaf(value: &Value) -> &Value {
    match value {
        Value::Table(table) if table.len() == 1 => table.values().next().map_or(value, leaf),
        value => value,
    }
}

fn first_line(error: &toml::de::Error) -> &str {
    error
        .message()
        .lines()
        .next()
        .unwrap_or("it cannot be read")
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
