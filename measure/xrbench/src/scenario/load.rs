//! From the text of a scenario file to [`File`]: `--set` applied, defaults merged, every mistake named by key, value and line.

use std::path::Path;

use serde::de::DeserializeOwned;
use service::ConfigError;
use settings::hint;

use super::error::CheckError;
use super::model::{File, SCHEMA, Scenario};
use super::tree::{self, Content, Node, Problem, Table};

/// What the command line changes of a scenario file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Each `KEY=VALUE` of `--set`.
    pub set: Vec<String>,
    /// Each name of `--only`; empty for all.
    pub only: Vec<String>,
    /// The flag that named them.
    pub only_origin: &'static str,
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
    let at = Origin(origin);
    let mut top = tree::parse(text).map_err(|error| {
        let why = error.to_string().trim().replace('\n', " ");
        at.wrong("the file", "", &format!("it is no TOML ({why})"), None)
    })?;
    let mut everywhere = Table::new();
    for assignment in &overrides.set {
        set(&mut top, &mut everywhere, assignment)?;
    }
    at.check_schema(&top)?;
    let defaults = match top.remove("defaults").map(|node| node.content) {
        None => Table::new(),
        Some(Content::Table(defaults)) => defaults,
        Some(_) => return Err(at.wrong("defaults", "", "it must be a table: [defaults]", None)),
    };
    let scenarios = match top.remove("scenario").map(|node| node.content) {
        Some(Content::Array(scenarios)) if !scenarios.is_empty() => scenarios,
        _ => {
            let why = "there is none; begin each with [[scenario]]";
            return Err(at.wrong("scenario", "", why, None));
        }
    };
    // Alone first, so that a mistake in them is not laid to a scenario.
    at.read::<Scenario>(&defaults, "defaults")?;
    if let Some(name) = defaults.get("name") {
        let why = "every scenario needs a name of its own";
        return Err(at.wrong("defaults.name", &name.to_string(), why, Some(name)));
    }
    at.read::<Scenario>(&everywhere, "")?;
    let mut file: File = at.read(&top, "")?;
    for (index, node) in scenarios.iter().enumerate() {
        file.scenario
            .push(at.scenario(node, index, &everywhere, &defaults)?);
    }
    for (index, scenario) in file.scenario.iter().enumerate() {
        let before = &file.scenario[..index];
        if before.iter().any(|other| other.name == scenario.name) {
            let key = format!("scenario {}.name", scenario.name);
            return Err(at.wrong(&key, &scenario.name, "two scenarios have this name", None));
        }
    }
    select(&mut file, overrides)?;
    Ok(file)
}

/// Applies one `--set`: to a key of the file, to the scenario whose name comes first, or else to every scenario.
fn set(top: &mut Table, everywhere: &mut Table, assignment: &str) -> Result<(), ConfigError> {
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
    let value = tree::value(value);
    let of_file = keys[0] == "defaults" || tree::keys_of::<File>().contains(&keys[0]);
    let put = match named(top, keys[0]) {
        Some(scenario) => put(scenario, &keys[1..], value),
        None if of_file => put(top, &keys, value),
        None => put(everywhere, &keys, value),
    };
    put.ok_or_else(|| wrong("its key does not lead to a value"))
}

/// The scenario of this name.
fn named<'a>(top: &'a mut Table, name: &str) -> Option<&'a mut Table> {
    let Content::Array(scenarios) = &mut top.get_mut("scenario")?.content else {
        return None;
    };
    scenarios
        .iter_mut()
        .find_map(|node| match &mut node.content {
            Content::Table(table) if name_of(table) == Some(name) => Some(table),
            _ => None,
        })
}

fn name_of(scenario: &Table) -> Option<&str> {
    match &scenario.get("name")?.content {
        Content::Scalar(toml::Value::String(name)) => Some(name),
        _ => None,
    }
}

fn put(table: &mut Table, keys: &[&str], value: Node) -> Option<()> {
    let (last, path) = keys.split_last()?;
    let mut table = table;
    for key in path {
        let inner = table.entry((*key).to_owned()).or_insert_with(|| Node {
            line: None,
            content: Content::Table(Table::new()),
        });
        let Content::Table(inner) = &mut inner.content else {
            return None;
        };
        table = inner;
    }
    table.insert((*last).to_owned(), value);
    Some(())
}

/// Takes from `under` what `over` does not say.
fn merge(over: &mut Table, under: &Table) {
    for (key, value) in under {
        match (
            over.get_mut(key).map(|node| &mut node.content),
            &value.content,
        ) {
            (Some(Content::Table(over)), Content::Table(under)) => merge(over, under),
            (Some(_), _) => {}
            (None, _) => drop(over.insert(key.clone(), value.clone())),
        }
    }
}

fn select(file: &mut File, overrides: &Overrides) -> Result<(), ConfigError> {
    let only = &overrides.only;
    let known = |file: &File, name: &str| file.scenario.iter().any(|one| one.name == name);
    if let Some(name) = only.iter().find(|name| !known(file, name)) {
        let names: Vec<&str> = file.scenario.iter().map(|one| one.name.as_str()).collect();
        return Err(ConfigError::new(
            overrides.only_origin,
            name,
            "the file has no scenario of that name",
            format!("Name one of the file's scenarios: {}.", hint(name, &names)),
        ));
    }
    if !only.is_empty() {
        file.scenario.retain(|one| only.contains(&one.name));
    }
    Ok(())
}

/// The file that a mistake is in.
#[derive(Clone, Copy)]
struct Origin<'a>(&'a str);

impl Origin<'_> {
    fn wrong(self, key: &str, value: &str, why: &str, node: Option<&Node>) -> ConfigError {
        let place = node.map(|node| match node.line {
            Some(line) => format!(", line {line}"),
            None => " (changed by --set)".to_owned(),
        });
        ConfigError::new(
            format!("{key} in {}{}", self.0, place.unwrap_or_default()),
            value.trim_matches('"'),
            why,
            "docs/scenarios.md has every key, its unit and an example.",
        )
    }

    fn read<T: DeserializeOwned>(self, table: &Table, under: &str) -> Result<T, ConfigError> {
        tree::read(table).map_err(|Problem { key, node, why }| {
            let parts = [under, &key];
            let parts = parts.into_iter().filter(|part| !part.is_empty());
            let value = node.map(ToString::to_string).unwrap_or_default();
            self.wrong(&parts.collect::<Vec<_>>().join("."), &value, &why, node)
        })
    }

    fn check_schema(self, top: &Table) -> Result<(), ConfigError> {
        let Some(node) = top.get("schema") else {
            let why = format!("it is missing; write `schema = {SCHEMA}`");
            return Err(self.wrong("schema", "", &why, None));
        };
        if node.to_string() == SCHEMA.to_string() {
            return Ok(());
        }
        let why = format!("this program reads version {SCHEMA} of the format");
        Err(self.wrong("schema", &node.to_string(), &why, Some(node)))
    }

    /// One scenario with what it does not say itself.
    fn scenario(
        self,
        node: &Node,
        index: usize,
        everywhere: &Table,
        defaults: &Table,
    ) -> Result<Scenario, ConfigError> {
        let Content::Table(own) = &node.content else {
            let why = "it must be a table: [[scenario]]";
            return Err(self.wrong("scenario", &node.to_string(), why, Some(node)));
        };
        let name = name_of(own).map_or_else(|| format!("number {}", index + 1), ToOwned::to_owned);
        let under = format!("scenario {name}");
        if !own.contains_key("name") {
            return Err(self.wrong(&format!("{under}.name"), "", "it is missing", Some(node)));
        }
        let mut table = everywhere.clone();
        merge(&mut table, own);
        merge(&mut table, defaults);
        let scenario: Scenario = self.read(&table, &under)?;
        scenario.check().map_err(|CheckError { key, value, why }| {
            let node = tree::find(&table, &key);
            self.wrong(&format!("{under}.{key}"), &value, &why, node)
        })?;
        Ok(scenario)
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
