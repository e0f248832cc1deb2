//! `docs/summary.schema.json` is derived from [`Summary`] and never typed: `XR_BLESS=1 cargo test --workspace --lib schema`
//! writes it.

use std::{env, fs, path::Path};

use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform as _},
};
use serde_json::Value;

use super::Summary;
use result::write_json;

/// The schema of what is written. That is stricter than what is read: what older files lack may be missing there.
fn derived() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Summary>();
    RecursiveTransform(finish).transform(&mut schema);
    schema.insert("title".into(), "summary.json".into());
    schema.into()
}

/// Closes an object with named fields, of which each is described, and has a description in one line, as an editor shows it.
fn finish(schema: &mut Schema) {
    if let Some(Value::Object(fields)) = schema.get("properties") {
        for (name, field) in fields {
            assert!(
                field.get("description").is_some(),
                "{name} is not described in {fields:#?}"
            );
        }
        schema.insert("additionalProperties".into(), false.into());
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!text.contains("[`"), "a link to code in a schema: {text}");
    }
    // What a reader takes where an older file has nothing: no part of what is written.
    schema.remove("default");
}

#[test]
fn the_schema_is_what_the_types_say() {
    let derived = derived();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/summary.schema.json");
    if env::var_os("XR_BLESS").is_some() {
        write_json(&path, &derived).expect("the schema is written");
    }
    let text = fs::read_to_string(&path).expect("docs/summary.schema.json");
    let committed: Value = serde_json::from_str(&text).expect("JSON");
    assert!(
        committed == derived,
        "docs/summary.schema.json is not what Summary says: XR_BLESS=1 cargo test --workspace --lib schema"
    );
}
