//! Another RTSP server in the streamer's place.

use serde::{Deserialize, Serialize};

use settings::{Pipeline, StreamerSettings, has_password};

use super::Scenario;
use super::check::{CheckError, HOLDS_A_PASSWORD};

/// What is between renderer and client instead of xr-streamer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The command line, split as a shell would.
    pub command: String,
    /// Where it takes the video: `rtsp://` for RTSP RECORD, `http://` for the ingest of xr-streamer.
    pub feed: String,
    /// Where it serves it.
    pub stream: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            command: String::new(),
            feed: "rtsp://{rtsp}/xr".to_owned(),
            stream: "rtsp://{rtsp}/xr".to_owned(),
        }
    }
}

/// Addresses of another server, for the words in braces of its [`Server`].
#[derive(Clone, Copy, Debug)]
pub struct ServerAddresses<'a> {
    /// `{rtsp}`: HOST:PORT of its RTSP.
    pub rtsp: &'a str,
    /// `{http}`: HOST:PORT of its HTTP.
    pub http: &'a str,
}

impl ServerAddresses<'_> {
    fn put_into(self, text: &str) -> String {
        let port = |address: &str| {
            address
                .rsplit_once(':')
                .map_or_else(String::new, |(_, port)| port.to_owned())
        };
        text.replace("{rtsp}", self.rtsp)
            .replace("{rtsp_port}", &port(self.rtsp))
            .replace("{http}", self.http)
            .replace("{http_port}", &port(self.http))
    }
}

impl Server {
    /// The program and its arguments, told to listen at `at`. Empty only if its check fails.
    pub fn words(&self, at: ServerAddresses<'_>) -> Vec<String> {
        let words = shlex::split(&self.command).unwrap_or_default();
        words.iter().map(|word| at.put_into(word)).collect()
    }

    /// Where the renderer finds it at `at`.
    pub fn feed(&self, at: ServerAddresses<'_>) -> String {
        at.put_into(&self.feed)
    }

    /// Where the client finds it at `at`.
    pub fn stream(&self, at: ServerAddresses<'_>) -> String {
        at.put_into(&self.stream)
    }

    /// Whether the scenario can be run with it.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), CheckError> {
        let wrong = |key: &str, value: &str, why: &str| Err(CheckError::new(key, &value, why));
        if scenario.pipeline != Pipeline::Ours {
            let why = "another server goes with `pipeline = \"ours\"` only: that renders and plays";
            return wrong("server", &scenario.pipeline.to_string(), why);
        }
        if scenario.streamer != StreamerSettings::default() {
            let why = "these are settings of xr-streamer, and another server is in its place";
            return wrong("streamer", "", why);
        }
        match shlex::split(&self.command) {
            Some(words) if !words.is_empty() => {}
            Some(_) => {
                let why = "it is empty; write the command line of an RTSP server";
                return wrong("server.command", &self.command, why);
            }
            None => return wrong("server.command", &self.command, "a quote is not closed"),
        }
        let schemes = [
            ("server.feed", &self.feed, &["rtsp://", "http://"][..]),
            ("server.stream", &self.stream, &["rtsp://"][..]),
        ];
        for (key, url, known) in schemes {
            if !known.iter().any(|scheme| url.starts_with(scheme)) {
                let why = format!("it must begin with {}", known.join(" or "));
                return wrong(key, url, &why);
            }
        }
        for (key, text) in [
            ("server.command", &self.command),
            ("server.feed", &self.feed),
            ("server.stream", &self.stream),
        ] {
            if has_password(text) {
                return wrong(key, text, HOLDS_A_PASSWORD);
            }
            if let Some(word) = unknown(text) {
                let why = format!(
                    "nothing is known for {word}; there are {{rtsp}} and {{http}}, each HOST:PORT, {{rtsp_port}} and {{http_port}}"
                );
                return wrong(key, text, &why);
            }
        }
        Ok(())
    }
}

/// The first word in braces that stands for nothing.
fn unknown(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(begin) = rest.find('{') {
        let end = begin + rest[begin..].find('}')?;
        let word = &rest[begin..=end];
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        let is_word = word.len() > 2 && word[1..word.len() - 1].chars().all(plain);
        if is_word && !["{rtsp}", "{http}", "{rtsp_port}", "{http_port}"].contains(&word) {
            return Some(word);
        }
        rest = &rest[begin + 1..];
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Overrides, parse};

    use super::*;

    fn scenario(rest: &str) -> Result<Scenario, String> {
        let text = format!("schema = 1\nname = \"x\"\n[[scenario]]\nname = \"s\"\n{rest}");
        parse(&text, "x.toml", &Overrides::default())
            .map(|mut file| file.scenario.remove(0))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn words_in_braces_become_addresses() {
        let scenario = scenario(
            "[scenario.server]\ncommand = \"'the server' --listen={rtsp} -p {http_port}\"\nfeed = \"rtsp://{rtsp}/in\"",
        )
        .expect("a scenario");
        let server = scenario.server.expect("a server");
        let at = ServerAddresses {
            rtsp: "10.2.0.5:8554",
            http: "10.2.0.5:8080",
        };
        assert_eq!(
            server.words(at),
            ["the server", "--listen=10.2.0.5:8554", "-p", "8080"]
        );
        assert_eq!(server.feed(at), "rtsp://10.2.0.5:8554/in");
        assert_eq!(server.stream(at), "rtsp://10.2.0.5:8554/xr");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        for (rest, parts) in [
            ("server = {}", ["scenario s.server.command", "it is empty"]),
            (
                "server = { command = \"a 'b\" }",
                ["scenario s.server.command", "quote"],
            ),
            (
                "server = { command = \"a\", stream = \"rtsp://me:secret@{rtsp}/xr\" }",
                ["scenario s.server.stream", "process lists"],
            ),
            (
                "server = { command = \"a {config}\" }",
                ["scenario s.server.command", "{config}"],
            ),
            (
                "server = { command = \"a\", feed = \"rtmp://{rtsp}/xr\" }",
                ["scenario s.server.feed", "rtsp:// or http://"],
            ),
            (
                "server = { command = \"a\", stream = \"http://{http}/xr\" }",
                ["scenario s.server.stream", "rtsp://"],
            ),
            (
                "server = { command = \"a\", url = \"b\" }",
                ["scenario s.server.url", "unknown key"],
            ),
            (
                "pipeline = \"reference\"\nserver = { command = \"a\" }",
                ["scenario s.server", "ours"],
            ),
            (
                "streamer = { rtp_sync = true }\nserver = { command = \"a\" }",
                ["scenario s.streamer", "xr-streamer"],
            ),
        ] {
            let error = scenario(rest).expect_err(rest);
            for part in parts {
                assert!(error.contains(part), "{rest}: {error}");
            }
        }
        // Braces that are the command's own.
        scenario("server = { command = \"jq {} '{ a: 1 }'\" }").expect("a scenario");
    }
}
