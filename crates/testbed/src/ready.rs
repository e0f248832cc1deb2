//! The line of JSON by which a process says that it is ready, and on which addresses.

use std::net::SocketAddr;

use serde_json::{Map, Value};

/// What a process said when it was ready: `{"event":"ready","program":"xr-streamer","http":"127.0.0.1:41234"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready(Map<String, Value>);

impl Ready {
    /// The ready line, if `line` is one.
    pub fn parse(line: &str) -> Option<Self> {
        let Ok(Value::Object(fields)) = serde_json::from_str(line.trim()) else {
            return None;
        };
        (fields.get("event").and_then(Value::as_str) == Some("ready")).then_some(Self(fields))
    }

    /// What stands for the line of a program that writes none: no fields.
    pub(crate) fn by_its_log() -> Self {
        Self(Map::new())
    }

    /// A field that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    /// A field that is an address with a port.
    pub fn addr(&self, key: &str) -> Option<SocketAddr> {
        self.text(key)?.parse().ok()
    }

    /// Every field that is an address with a port.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        let keys = self.0.keys().map(String::as_str);
        keys.filter_map(|key| Some((key, self.addr(key)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_event_is_a_ready_line() {
        assert_eq!(Ready::parse("hello"), None);
        assert_eq!(
            Ready::parse(r#"{"event":"summary","ops":"127.0.0.1:1"}"#),
            None
        );
        assert_eq!(Ready::parse(r#"["ready"]"#), None);
        let ready =
            Ready::parse(r#" {"event":"ready","ops":"127.0.0.1:9","n":1} "#).expect("ready");
        assert_eq!(
            ready.addr("ops"),
            Some(SocketAddr::from(([127, 0, 0, 1], 9)))
        );
        assert_eq!((ready.addr("n"), ready.text("none")), (None, None));
    }
}
