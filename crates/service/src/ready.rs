//! Whether the process can serve, for `/ready`, and the line on stdout that tells whoever started it where it listens.

use std::io::Write as _;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serializer as _;

/// The state that `/ready` tells: ready, or why not. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Option<String>>>);

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// The state of a process that is starting.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Some("starting".to_owned()))))
    }

    /// From now on the process serves.
    pub fn set_ready(&self) {
        self.set(None);
    }

    /// From now on it does not, because of `reason`: a short clause, which `/ready` returns with status 503.
    pub fn set_unready(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    /// The reason why the process is not ready; none when it is.
    pub fn reason(&self) -> Option<String> {
        self.0.lock().clone()
    }

    fn set(&self, reason: Option<String>) {
        *self.0.lock() = reason;
    }
}

/// Prints one line of JSON on stdout: `{"event":"ready","program":"xr-streamer","ops":"127.0.0.1:41234",...}`.
///
/// `addresses` names what the process bound, so that port 0 can be used. A stdout that nobody reads is no error.
pub fn announce(program: &str, addresses: &[(&str, String)]) {
    let mut stdout = std::io::stdout().lock();
    // Whoever closed our stdout does not want the line.
    let _ = writeln!(stdout, "{}", line(program, addresses));
    let _ = stdout.flush();
}

fn line(program: &str, addresses: &[(&str, String)]) -> String {
    let pairs = [("event", "ready"), ("program", program)].into_iter();
    let pairs = pairs.chain(
        addresses
            .iter()
            .map(|(name, address)| (*name, address.as_str())),
    );
    let mut line = Vec::new();
    serde_json::Serializer::new(&mut line)
        .collect_map(pairs)
        .expect("memory takes any map of text");
    String::from_utf8(line).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_json_in_the_order_given() {
        let line = line(
            "xr-streamer",
            &[("ops", "127.0.0.1:1".into()), ("http", "a\"b".into())],
        );
        assert_eq!(
            line,
            r#"{"event":"ready","program":"xr-streamer","ops":"127.0.0.1:1","http":"a\"b"}"#
        );
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }

    #[test]
    fn clones_share_the_state() {
        let ready = Readiness::new();
        let other = ready.clone();
        assert_eq!(other.reason().as_deref(), Some("starting"));
        ready.set_ready();
        assert_eq!(other.reason(), None);
        other.set_unready("no feed");
        assert_eq!(ready.reason().as_deref(), Some("no feed"));
    }
}
