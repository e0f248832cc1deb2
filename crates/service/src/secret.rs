//! A value that no log may show.

use std::fmt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

use crate::{ConfigError, StartError};

/// A token or a password. `Debug` hides it, and it has no `Display`.
#[derive(Clone)]
pub struct Secret(String);

/// A file longer than this is not a token.
const MAX_BYTES: u64 = 4096;

impl Secret {
    /// Keeps `value` from logs.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// 128 random bits from the system, as 32 hexadecimal digits.
    pub fn random() -> Result<Self, StartError> {
        let high = getrandom::u64().map_err(StartError::Random)?;
        let low = getrandom::u64().map_err(StartError::Random)?;
        Ok(Self(format!("{high:016x}{low:016x}")))
    }

    /// The value itself, to be sent to a peer.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is the secret, in a time that tells at most the secret's length.
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Reads the secret from a file: its text without the white space around it.
    pub fn from_file(path: &Path, origin: &str) -> Result<Self, ConfigError> {
        let wrong = |why: String| {
            ConfigError::new(
                origin,
                path.display().to_string(),
                why,
                "Name a readable text file that holds the token and nothing else.",
            )
        };
        let length = std::fs::metadata(path)
            .map_err(|error| wrong(error.to_string()))?
            .len();
        if length > MAX_BYTES {
            return Err(wrong(format!("{length} bytes are too many for a token")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Self::checked(&text).map_err(|why| wrong(why.to_owned()))
    }

    fn checked(text: &str) -> Result<Self, &'static str> {
        let token = text.trim();
        if token.is_empty() {
            return Err("it is empty");
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token is made of visible ASCII characters, without spaces");
        }
        Ok(Self(token.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }
}

impl Eq for Secret {}

/// Where a program takes its token from. Never from an argument, which every user of the machine can read in `ps`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TokenArgs {
    /// File that holds the bearer token; without it, the variable `XR_TOKEN` is read.
    #[arg(long, env = "XR_TOKEN_FILE", value_name = "PATH")]
    pub token_file: Option<PathBuf>,
}

impl TokenArgs {
    /// The token from the file, else from `XR_TOKEN`, else none.
    pub fn load(&self) -> Result<Option<Secret>, ConfigError> {
        if let Some(path) = &self.token_file {
            return Secret::from_file(path, "--token-file (XR_TOKEN_FILE)").map(Some);
        }
        let Some(value) = std::env::var_os("XR_TOKEN").filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let checked = value
            .to_str()
            .ok_or("it is not text")
            .and_then(Secret::checked);
        checked.map(Some).map_err(|why| {
            ConfigError::new(
                "the variable XR_TOKEN",
                "***",
                why,
                "Set it to the token, or unset it.",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debug_hides_it() {
        let secret = Secret::new("swordfish");
        assert!(!format!("{secret:?}").contains("swordfish"));
        assert_eq!(secret.expose(), "swordfish");
    }

    #[test]
    fn random_ones_differ() {
        let (one, two) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_eq!(one.expose().len(), 32);
        assert_ne!(one, two);
    }

    #[test]
    fn a_file_is_trimmed_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            TokenArgs {
                token_file: Some(path.clone()),
            }
            .load()
        };
        assert_eq!(read(" abc123\n").unwrap().unwrap().expose(), "abc123");
        for (text, why) in [
            ("", "empty"),
            (" \n", "empty"),
            ("a b", "visible"),
            ("a\nb", "visible"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("XR_TOKEN_FILE"),
                "{error}"
            );
        }
        assert!(
            read(&"x".repeat(5000))
                .unwrap_err()
                .to_string()
                .contains("5000 bytes")
        );
        let missing = TokenArgs {
            token_file: Some(folder.path().join("none")),
        }
        .load()
        .unwrap_err();
        assert!(missing.to_string().contains("No such file"), "{missing}");
    }

    proptest! {
        #[test]
        fn only_the_same_text_matches(a in "[a-d]{0,4}", b in "[a-d]{0,4}") {
            prop_assert_eq!(Secret::new(a.clone()).matches(&b), a == b);
        }
    }
}
