//! What another server needs of its scenario, and its texts.

use settings::{FeedUrl, Pipeline, StreamerSettings, check_stream_url, has_password};

use crate::scenario::error::{CheckError, HOLDS_A_PASSWORD};
use crate::scenario::model::Scenario;
use crate::scenario::server::{Server, ServerAddresses};

/// Addresses to try a server's texts with: what is right with one is right with any.
const SOME: ServerAddresses<'static> = ServerAddresses {
    rtsp: "127.0.0.1:8554",
    http: "127.0.0.1:8080",
};

/// Whether the scenario can be run with another server.
pub(super) fn check(server: &Server, scenario: &Scenario) -> Result<(), CheckError> {
    let wrong = |key: &str, value: &str, why: &str| Err(CheckError::new(key, &value, why));
    if scenario.pipeline != Pipeline::Ours {
        let why = "another server goes with `pipeline = \"ours\"` only: that renders and plays";
        return wrong("server", &scenario.pipeline.to_string(), why);
    }
    if scenario.streamer != StreamerSettings::default() {
        let why = "these are settings of xr-streamer, and another server is in its place";
        return wrong("streamer", "", why);
    }
    match shlex::split(&server.command) {
        Some(words) if !words.is_empty() => {}
        Some(_) => {
            let why = "it is empty; write the command line of an RTSP server";
            return wrong("server.command", &server.command, why);
        }
        None => return wrong("server.command", &server.command, "a quote is not closed"),
    }
    let schemes = [
        ("server.feed", &server.feed, &["rtsp://", "http://"][..]),
        ("server.stream", &server.stream, &["rtsp://"][..]),
    ];
    for (key, url, known) in schemes {
        if !known.iter().any(|scheme| url.starts_with(scheme)) {
            let why = format!("it must begin with {}", known.join(" or "));
            return wrong(key, url, &why);
        }
    }
    for (key, text) in [
        ("server.command", &server.command),
        ("server.feed", &server.feed),
        ("server.stream", &server.stream),
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
        if text.contains('\0') {
            let why = "it becomes an argument of a program, which can hold no NUL";
            return wrong(key, text, why);
        }
    }
    // As renderer and client will read them.
    if let Err(why) = server.feed(SOME).parse::<FeedUrl>() {
        return wrong("server.feed", &server.feed, &why.to_string());
    }
    if let Err(why) = check_stream_url(&server.stream(SOME)) {
        return wrong("server.stream", &server.stream, &why.to_string());
    }
    Ok(())
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
                "server = { command = \"a\", feed = \"http://{http}/live\" }",
                ["scenario s.server.feed", "/feeds/NAME"],
            ),
            (
                "server = { command = \"a\", feed = \"http://{http}/feeds/a/b\" }",
                ["scenario s.server.feed", "'a/b' is no name of a feed"],
            ),
            (
                "server = { command = \"a\", stream = \"rtsp://{rtsp}/\" }",
                ["scenario s.server.stream", "name of the stream"],
            ),
            (
                "server = { command = \"a\\u0000\" }",
                ["scenario s.server.command", "no NUL"],
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
        scenario(
            "server = { command = \"a\", feed = \"http://{http}/feeds/x\", stream = \"rtsp://{rtsp}/live/x\" }",
        )
        .expect("a scenario");
        // Braces that are the command's own.
        scenario("server = { command = \"jq {} '{ a: 1 }'\" }").expect("a scenario");
    }
}
