//! Addresses that people write, and the passwords that stand in some of them.

use std::borrow::Cow;

/// What stands in place of a user's name and password.
const HIDDEN: &str = "***";

/// The text without the users and passwords of the addresses in it: `rtsp://me:secret@host` becomes `rtsp://***@host`.
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

/// Whether an address in the text has a user or a password.
pub fn has_password(text: &str) -> bool {
    matches!(without_passwords(text), Cow::Owned(_))
}

/// Where the user of an address without its scheme ends, at the `@`; none where there is no user.
fn user_ends(address: &str) -> Option<usize> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '\\');
    let authority = &address[..address.find(ends).unwrap_or(address.len())];
    authority.rfind('@')
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
