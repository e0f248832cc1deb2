//! A TOML file as a tree of which every value knows its line, read into structs with errors that name key, value and line.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// A table of the file.
pub(super) type Table = BTreeMap<String, Node>;

/// A value, and the line of the file in which it begins; none for one that `--set` gave.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: Option<usize>,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Scalar(Value),
    Array(Vec<Node>),
    Table(Table),
}

/// What is wrong with a key, and the value that it has or that is nearest on the way to it.
#[derive(Clone, Debug)]
pub(super) struct Problem<'a> {
    pub(super) key: String,
    pub(super) node: Option<&'a Node>,
    pub(super) why: String,
}

/// Reads a file's text.
pub(super) fn parse(text: &str) -> Result<Table, toml::de::Error> {
    let line = |at: usize| Some(text[..at.min(text.len())].matches('\n').count() + 1);
    Ok(table(DeTable::parse(text)?.into_inner(), &line))
}

/// Reads a value of the command line: TOML, or else a text, because nobody wants to quote `30s` twice for a shell.
pub(super) fn value(text: &str) -> Node {
    let assignment = format!("v = {text}");
    let read = DeTable::parse(&assignment).ok();
    let read = read.and_then(|read| table(read.into_inner(), &|_| None).remove("v"));
    read.unwrap_or_else(|| Node {
        line: None,
        content: Content::Scalar(Value::String(text.to_owned())),
    })
}

fn table(of: DeTable<'_>, line: &impl Fn(usize) -> Option<usize>) -> Table {
    of.into_iter()
        .map(|(key, value)| {
            // A header's table begins at its key; a value in a line of its own does so, too.
            let mut node = node(value.into_inner(), line);
            node.line = line(key.span().start);
            (key.into_inner().into_owned(), node)
        })
        .collect()
}

fn node(value: DeValue<'_>, line: &impl Fn(usize) -> Option<usize>) -> Node {
    let content = match value {
        DeValue::Array(items) => Content::Array(
            items
                .into_iter()
                .map(|item| {
                    let at = line(item.span().start);
                    let mut node = node(item.into_inner(), line);
                    node.line = at;
                    node
                })
                .collect(),
        ),
        DeValue::Table(inner) => Content::Table(table(inner, line)),
        scalar => Content::Scalar(scalar_of(scalar)),
    };
    Node {
        line: None,
        content,
    }
}

fn scalar_of(value: DeValue<'_>) -> Value {
    match value {
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Datetime(value) => Value::Datetime(value),
        DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
            .map_or_else(|_| Value::String(value.as_str().to_owned()), Value::Integer),
        DeValue::Float(value) => value
            .as_str()
            .parse()
            .map_or_else(|_| Value::String(value.as_str().to_owned()), Value::Float),
        DeValue::String(value) => Value::String(value.into_owned()),
        DeValue::Array(_) | DeValue::Table(_) => unreachable!("looked at by the caller"),
    }
}

/// Reads a table into a struct.
pub(super) fn read<T: DeserializeOwned>(table: &Table) -> Result<T, Problem<'_>> {
    let read = serde_path_to_error::deserialize(MapDeserializer::new(pairs(table)));
    read.map_err(|error: serde_path_to_error::Error<Refused>| {
        // A lone dot is the path of the whole.
        let key = error.path().to_string();
        let key = key.trim_start_matches('.').to_owned();
        Problem {
            node: find(table, &key),
            why: error.into_inner().why,
            key,
        }
    })
}

/// The keys that a struct has, as its refusal of an unknown one lists them.
pub(super) fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let unknown = MapDeserializer::<_, Refused>::new([("?", "")].into_iter());
    T::deserialize(unknown).map_or_else(|refused| refused.known, |_| &[])
}

/// The node at a key such as `renderer.gop`, or the last one on the way to it.
pub(super) fn find<'a>(table: &'a Table, key: &str) -> Option<&'a Node> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let node = table.get(first.split('[').next().unwrap_or(first))?;
    match &node.content {
        Content::Table(inner) => find(inner, rest).or(Some(node)),
        _ => Some(node),
    }
}

fn pairs(table: &Table) -> impl Iterator<Item = (&str, &Node)> {
    table.iter().map(|(key, node)| (key.as_str(), node))
}

impl<'de> IntoDeserializer<'de, Refused> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.content {
            Content::Scalar(Value::String(text)) => visitor.visit_borrowed_str(text),
            Content::Scalar(Value::Integer(number)) => visitor.visit_i64(*number),
            Content::Scalar(Value::Float(number)) => visitor.visit_f64(*number),
            Content::Scalar(Value::Boolean(truth)) => visitor.visit_bool(*truth),
            Content::Scalar(other) => visitor.visit_string(other.to_string()),
            Content::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter())),
            Content::Table(table) => visitor.visit_map(MapDeserializer::new(pairs(table))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        match &self.content {
            Content::Scalar(Value::String(word)) => {
                let word: de::value::StrDeserializer<'_, Refused> =
                    word.as_str().into_deserializer();
                word.deserialize_enum(name, variants, visitor)
            }
            _ => Err(de::Error::custom(format_args!(
                "it must be one of these words in quotes: {}",
                variants.join(", ")
            ))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Scalar(value) => value.fmt(f),
            Content::Array(items) => f.debug_list().entries(items.iter().map(Shown)).finish(),
            Content::Table(table) => {
                let pairs = table.iter().map(|(key, node)| format!("{key} = {node}"));
                write!(f, "{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

struct Shown<'a>(&'a Node);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The reason why serde takes no value, with the nearest word that it would take.
#[derive(Debug, Default, thiserror::Error)]
#[error("{why}")]
pub(super) struct Refused {
    why: String,
    /// The keys that there are, where one is unknown.
    known: &'static [&'static str],
}

/// The largest value that TOML has of one of Rust's types of whole numbers; none of another type.
fn whole(name: &str) -> Option<u64> {
    match name {
        "u8" => Some(u8::MAX.into()),
        "u16" => Some(u16::MAX.into()),
        "u32" => Some(u32::MAX.into()),
        // TOML's own are signed.
        "u64" => Some(i64::MAX.unsigned_abs()),
        _ => None,
    }
}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(why: T) -> Self {
        let (why, known) = (why.to_string(), Default::default());
        Self { why, known }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // What serde calls the types of Rust.
        let expected = match expected.to_string().as_str() {
            "a string" => "text in quotes".to_owned(),
            "a boolean" => "true or false, without quotes".to_owned(),
            "f64" => "a number without quotes".to_owned(),
            number if whole(number).is_some() => {
                let most = whole(number).unwrap_or_default();
                format!("a whole number without quotes, 0 to {most}")
            }
            "a sequence" => "a list in square brackets".to_owned(),
            other if other.starts_with("struct ") => "a table: { key = value }".to_owned(),
            other => other.to_owned(),
        };
        Self::custom(format_args!("it is {found}; write {expected}"))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        whole(&expected).map_or_else(
            || Self::custom(format_args!("it is {found}; write {expected}")),
            |most| {
                Self::custom(format_args!(
                    "it is {found}; write a whole number, 0 to {most}"
                ))
            },
        )
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let hint = settings::hint(word, known);
        Self::custom(format_args!("unknown value {word:?}; {hint}"))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let why = format!("unknown key; {}", settings::hint(key, known));
        Self { why, known }
    }
}
