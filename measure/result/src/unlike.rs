//! Where two values of JSON differ: two scenario files as they were understood, for one.

use serde_json::Value;

/// A place at which two values differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Unlike {
    /// The place, as in `scenario[0].client.latency_ms`; empty for the whole.
    pub path: String,
    /// The first value there; null where it has none.
    pub one: Value,
    /// The second value there; null where it has none.
    pub two: Value,
}

/// Every place at which two values differ, in the order of the first.
pub fn unlike(one: &Value, two: &Value) -> Vec<Unlike> {
    let mut found = Vec::new();
    walk(one, two, "", &mut found);
    found
}

fn walk(one: &Value, two: &Value, path: &str, found: &mut Vec<Unlike>) {
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let of_b_alone = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(of_b_alone) {
                let [a, b] = [a, b].map(|of| of.get(key).unwrap_or(&Value::Null));
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                walk(a, b, &path, found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                walk(a, b, &format!("{path}[{at}]"), found);
            }
        }
        _ if one == two => {}
        _ => found.push(Unlike {
            path: path.to_owned(),
            one: one.clone(),
            two: two.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_is_named() {
        let one = json!({"seed": 1, "scenario": [{"name": "s", "client": {"sync": true}}]});
        let two =
            json!({"seed": 1, "scenario": [{"name": "s", "client": {"sync": false}, "fps": 30}]});
        let found = unlike(&one, &two);
        let places: Vec<_> = found.iter().map(|at| at.path.as_str()).collect();
        assert_eq!(places, ["scenario[0].client.sync", "scenario[0].fps"]);
        assert_eq!((&found[1].one, &found[1].two), (&Value::Null, &json!(30)));
        assert_eq!(unlike(&one, &one), []);
        // Lists of another length differ as a whole.
        assert_eq!(unlike(&json!([1]), &json!([1, 2]))[0].path, "");
    }
}
