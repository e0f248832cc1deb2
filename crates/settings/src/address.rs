//! Addresses that people write, and the secrets that stand in some of them.

use std::borrow::Cow;

use http::Uri;
use http::uri::Authority;

use crate::UnitError;

/// What stands in place of a secret.
pub(crate) const HIDDEN: &str = "***";

/// Ends of the names of query parameters that are secrets, as cameras, media servers and signed addresses call them.
const SECRET_NAMES: [&str; 9] = [
    "token",
    "password",
    "passwd",
    "pass",
    "pwd",
    "secret",
    "key",
    "sig",
    "signature",
];

/// The text without the users, passwords and tokens of the addresses in it: `rtsp://me:secret@host` becomes
/// `rtsp://***@host`, and `http://host/a?token=secret` becomes `http://host/a?token=***`.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("://").map(|at| at + 3) {
        let (before, address) = rest.split_at(begin);
        shown.push_str(before);
        rest = address;
        if let Some(at) = user_ends(address) {
            shown.push_str(HIDDEN);
            rest = &address[at..];
        }
        let (query, after) = rest.split_at(rest.find(ends_address).unwrap_or(rest.len()));
        // Another address may stand in a query.
        let (query, after) = match query.find("://") {
            Some(inner) => rest.split_at(inner),
            None => (query, after),
        };
        push_without_secrets(&mut shown, query);
        rest = after;
    }
    shown.push_str(rest);
    // What is hidden already stays as it is.
    if shown == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(shown)
    }
}

/// An address without its user and password, also where it has no scheme: `me:secret@host:1` becomes `***@host:1`.
pub fn address_without_password(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@') {
        Some((_, host)) if !address.contains("://") => Cow::Owned(format!("{HIDDEN}@{host}")),
        _ => without_passwords(address),
    }
}

/// Whether an address in the text has a user, a password or a token.
pub fn has_password(text: &str) -> bool {
    matches!(without_passwords(text), Cow::Owned(_))
}

/// The port that a URL without a user names; none where it names none.
pub(crate) fn port_of(url: &Uri) -> Result<Option<u16>, UnitError> {
    let authority = url.authority().map_or("", Authority::as_str);
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    match url.port_u16() {
        Some(port @ 1..) => Ok(Some(port)),
        // A port that is no port is none to the parser too: only the text tells.
        None if !after_host.contains(':') => Ok(None),
        _ => Err(UnitError("the port is not between 1 and 65535".to_owned())),
    }
}

/// Whether an address in a text ends before this character.
fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '\\')
}

/// Where the user of an address without its scheme ends, at the `@`; none where there is no user.
///
/// A password may have a `/`, `?` or `#` that should have been escaped: what follows a colon and is no port is a password then.
fn user_ends(address: &str) -> Option<usize> {
    let address = &address[..address.find(ends_address).unwrap_or(address.len())];
    let authority = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
    let begins_password = |(_, port): (&str, &str)| !port.bytes().all(|byte| byte.is_ascii_digit());
    let at = authority.rfind('@');
    let host = at.map_or(authority, |at| &authority[at + 1..]);
    let is_password = !host.starts_with('[') && host.split_once(':').is_some_and(begins_password);
    if is_password { address.rfind('@') } else { at }
}

/// Adds the end of an address to `shown`, with [`HIDDEN`] for the values of secret query parameters.
fn push_without_secrets(shown: &mut String, address: &str) {
    let mut rest = address;
    while let Some(at) = rest.find(['?', '&', ';']) {
        let (before, parameter) = rest.split_at(at + 1);
        shown.push_str(before);
        rest = parameter;
        let ends = |c: char| matches!(c, '?' | '&' | ';' | '#');
        let parameter = &parameter[..parameter.find(ends).unwrap_or(parameter.len())];
        if let Some((name, value)) = parameter.split_once('=')
            && !value.is_empty()
            && is_secret(name)
        {
            shown.push_str(name);
            shown.push('=');
            shown.push_str(HIDDEN);
            rest = &rest[parameter.len()..];
        }
    }
    shown.push_str(rest);
}

/// Whether a query parameter of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.ends_with(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_hidden_wherever_they_stand() {
        for (text, shown) in [
            ("rtsp://me:secret@cam/live", "rtsp://***@cam/live"),
            ("http://token@h:80", "http://***@h:80"),
            ("http://me:se@cret@h/", "http://***@h/"),
            (
                "gst:rtspsrc location=\"rtsp://a:b@c/d\" ! fakesink",
                "gst:rtspsrc location=\"rtsp://***@c/d\" ! fakesink",
            ),
            ("rtsp://me:se/cr?et@cam/live", "rtsp://***@cam/live"),
            ("rtsp://me@er:s3/w#rd@cam:1/live", "rtsp://***@cam:1/live"),
            ("http://h/a?token=x&b=1", "http://h/a?token=***&b=1"),
            (
                "http://h:80/a?b=1&X-Amz-Signature=x#y",
                "http://h:80/a?b=1&X-Amz-Signature=***#y",
            ),
            (
                "http://a:b@h/?key=k \"http://h?access_token=t\"",
                "http://***@h/?key=*** \"http://h?access_token=***\"",
            ),
            ("http://h/?to=rtsp://a:b@c", "http://h/?to=rtsp://***@c"),
            (
                "x http://a:b@c y http://d:e@f",
                "x http://***@c y http://***@f",
            ),
        ] {
            assert_eq!(without_passwords(text), shown);
            assert!(has_password(text) && !has_password(shown), "{text}");
        }
        for text in [
            "",
            "://",
            "http://h/a@b",
            "http://h?x=a@b",
            "a:b@c",
            "file:a@b",
            "x://é/@",
            "http://h:80/a@b",
            "http://[::1]:80/a@b",
            "http://h/a?token",
            "http://h/a?token=&b=key",
            "http://h/a?monkeys=x",
        ] {
            assert_eq!(without_passwords(text), text);
            assert!(!has_password(text), "{text}");
        }
    }

    #[test]
    fn an_address_needs_no_scheme_to_have_its_password_hidden() {
        for (text, shown) in [
            ("me:secret@h:1", "***@h:1"),
            ("n=me:secret@h:1", "***@h:1"),
            ("rtsp://me:secret@h/a@b", "rtsp://***@h/a@b"),
            ("h:1", "h:1"),
        ] {
            assert_eq!(address_without_password(text), shown);
        }
    }
}
