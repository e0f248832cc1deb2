//! GStreamer launch lines that people write, and the secrets that stand in some of them.

use std::borrow::Cow;

use crate::address::{HIDDEN, without_passwords};

/// Ends of the names of properties and of fields of caps that are secrets: `user-pw` of rtspsrc, `passphrase` of srtsrc, `srtp-key` of
/// encrypted RTP.
const SECRET_NAMES: [&str; 10] = [
    "pw",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "key",
    "credentials",
    "cookies",
    "extra-headers",
];

/// The launch line without its secrets: the users, passwords and tokens of addresses, and properties such as `user-pw=secret`, have
/// `***` in their place.
pub fn launch_without_secrets(line: &str) -> String {
    let line = without_passwords(line);
    let mut shown = String::new();
    let mut rest = &*line;
    while let Some(at) = rest.find('=') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let value = &after[spaces(after)..];
        let end = value_ends(value);
        if is_secret(name_of(before)) && end > 0 {
            shown.push_str(before);
            shown.push('=');
            shown.push_str(HIDDEN);
            rest = &value[end..];
        } else {
            shown.push_str(&rest[..=at]);
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

/// A text without the secrets of the addresses, and of the sources that are launch lines, in it.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if text.contains("gst:") {
        Cow::Owned(launch_without_secrets(text))
    } else {
        without_passwords(text)
    }
}

/// The name in front of an equals sign.
fn name_of(before: &str) -> &str {
    let name = before.trim_end();
    let begins = name
        .rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_'))
        .map_or(0, |at| {
            at + name[at..].chars().next().map_or(1, char::len_utf8)
        });
    &name[begins..]
}

/// Whether a property or a field of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `key-int-max` and `monkey` are none.
    SECRET_NAMES.iter().any(|secret| {
        let front = name.strip_suffix(secret);
        front.is_some_and(|front| front.is_empty() || front.ends_with(['-', '_']))
    })
}

fn spaces(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Where a value ends, as gst-launch-1.0 reads it: behind the quote that closes it, or else at white space that is not escaped.
fn value_ends(value: &str) -> usize {
    let quote = value.chars().next().filter(|one| matches!(one, '"' | '\''));
    let mut letters = value.char_indices().skip(usize::from(quote.is_some()));
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if Some(letter) == quote {
            return at + letter.len_utf8();
        } else if quote.is_none() && letter.is_whitespace() {
            return at;
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for (line, shown) in [
            (
                "rtspsrc location=rtsp://me:secret@cam/live ! decodebin",
                "rtspsrc location=rtsp://***@cam/live ! decodebin",
            ),
            (
                "rtspsrc location=rtsp://cam user-id=me user-pw=secret ! decodebin",
                "rtspsrc location=rtsp://cam user-id=me user-pw=*** ! decodebin",
            ),
            (
                r#"rtspsrc user-pw = "se \"cret\" secret" proxy-pw='secret secret' latency=0"#,
                "rtspsrc user-pw =*** proxy-pw=*** latency=0",
            ),
            (r"rtspsrc user-pw=secret\ secret!", "rtspsrc user-pw=***"),
            ("srtsrc passphrase=***secret", "srtsrc passphrase=***"),
            (
                "udpsrc caps=application/x-srtp,srtp-key=(buffer)5ec2e7 ! srtpdec",
                "udpsrc caps=application/x-srtp,srtp-key=*** ! srtpdec",
            ),
            (
                r#"souphttpsrc extra-headers="h,Authorization=(string)\"Bearer secret\"" location=http://h?token=secret&a=secret"#,
                "souphttpsrc extra-headers=*** location=http://h?token=***",
            ),
        ] {
            assert_eq!(launch_without_secrets(line), shown);
            assert_eq!(launch_without_secrets(shown), shown, "nothing twice");
        }
        let said = without_secrets("line 3: source = \"gst:rtspsrc user-pw=secret !\nkey = 1");
        assert!(
            !said.contains("secret") && said.contains("line 3"),
            "{said}"
        );
        assert_eq!(
            without_secrets("--key=1 http://a:b@h"),
            "--key=1 http://***@h"
        );
        for line in [
            "",
            "=",
            "videotestsrc pattern=ball ! x264enc key-int-max=5 pass=qual",
            "é=ü monkey=x user-pw=",
        ] {
            assert_eq!(launch_without_secrets(line), line);
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_shown(text in "[a-z=\"'\\\\ \u{e9}-]{0,40}") {
            let shown = launch_without_secrets(&format!("gst:x user-pw={text}"));
            prop_assert!(shown.starts_with("gst:x user-pw="));
        }
    }
}
