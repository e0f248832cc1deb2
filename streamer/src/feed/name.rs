//! The name of a feed: the last part of its HTTP path and of its RTSP address.

use std::fmt;
use std::sync::Arc;

/// The longest name, in characters.
pub const MAX_CHARACTERS: usize = 64;

/// A checked name: 1 to [`MAX_CHARACTERS`] of `A-Z a-z 0-9 . _ -`, so that it stands in a path, a URL and a metric as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedName(Arc<str>);

/// Text that cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a feed's name is 1 to {MAX_CHARACTERS} characters of A-Z a-z 0-9 . _ -, and not only dots"
)]
pub struct BadName;

impl FeedName {
    /// Checks that `text` can be the name of a feed.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let sized = (1..=MAX_CHARACTERS).contains(&text.len());
        // "." and ".." would vanish where a client normalises the path.
        let only_dots = text.bytes().all(|byte| byte == b'.');
        if sized && !only_dots && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(BadName)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_paths() {
        for good in ["x", "room-1_a.b", &"n".repeat(MAX_CHARACTERS)] {
            assert_eq!(FeedName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a%20b",
            "ä",
            "a\"b",
            &"n".repeat(MAX_CHARACTERS + 1),
        ] {
            assert_eq!(FeedName::new(bad), Err(BadName), "{bad}");
        }
    }
}
