//! A value that no log may show.

use std::fmt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

use crate::{ConfigError, StartError};

/// A token or a password. `Debug` hides it, and it has no `Display`.
#[derive(Clone)]
pub struct Secret(String);

/// A file longer than this holds no secret.
const MAX_BYTES: u64 = 4096;

/// What a secret is, which decides what it may be made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Token,
    Password,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Password => "password",
        }
    }

    /// The secret in what a file or a variable holds; the reason why there is none.
    fn checked(self, text: &str) -> Result<Secret, &'static str> {
        let (value, sound, rule): (_, fn(char) -> bool, _) = match self {
            Self::Token => (
                text.trim(),
                |c| c.is_ascii_graphic(),
                "a token is made of visible ASCII characters, without spaces",
            ),
            // Spaces may be part of it; the end of the line is the editor's.
            Self::Password => (
                text.strip_suffix('\n')
                    .map_or(text, |line| line.strip_suffix('\r').unwrap_or(line)),
                |c| !c.is_control(),
                "a password is one line of text",
            ),
        };
        if value.is_empty() {
            return Err("it is empty");
        }
        if !value.chars().all(sound) {
            return Err(rule);
        }
        Ok(Secret(value.to_owned()))
    }

    /// The secret in a file.
    fn read(self, path: &Path, origin: &str) -> Result<Secret, ConfigError> {
        let word = self.word();
        let wrong = |why: String| {
            ConfigError::new(
                origin,
                path.display().to_string(),
                why,
                format!("Name a readable text file that holds the {word} and nothing else."),
            )
        };
        let length = std::fs::metadata(path)
            .map_err(|error| wrong(error.to_string()))?
            .len();
        if length > MAX_BYTES {
            return Err(wrong(format!("{length} bytes are too many for a {word}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        self.checked(&text).map_err(|why| wrong(why.to_owned()))
    }

    /// The secret in a variable; none where that is not set or empty.
    fn variable(self, name: &str) -> Result<Option<Secret>, ConfigError> {
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let checked = value
            .to_str()
            .ok_or("it is not text")
            .and_then(|text| self.checked(text));
        checked.map(Some).map_err(|why| {
            ConfigError::new(
                format!("the variable {name}"),
                "***",
                why,
                format!("Set it to the {}, or unset it.", self.word()),
            )
        })
    }
}

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

    /// Reads a token from a file: its text without the white space around it.
    pub fn from_file(path: &Path, origin: &str) -> Result<Self, ConfigError> {
        Kind::Token.read(path, origin)
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
        match &self.token_file {
            Some(path) => Kind::Token
                .read(path, "--token-file (XR_TOKEN_FILE)")
                .map(Some),
            None => Kind::Token.variable("XR_TOKEN"),
        }
    }
}

/// Where a program takes the password of its user from. Never from an argument, as [`TokenArgs`].
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PasswordArgs {
    /// File that holds the user's password, on one line; without it, the variable `XR_PASSWORD` is read.
    #[arg(long, env = "XR_PASSWORD_FILE", value_name = "PATH")]
    pub password_file: Option<PathBuf>,
}

impl PasswordArgs {
    const FILE_ORIGIN: &str = "--password-file (XR_PASSWORD_FILE)";

    /// The password from the file, else from `XR_PASSWORD`, else none.
    pub fn load(&self) -> Result<Option<Secret>, ConfigError> {
        match &self.password_file {
            Some(path) => Kind::Password.read(path, Self::FILE_ORIGIN).map(Some),
            None => Kind::Password.variable("XR_PASSWORD"),
        }
    }

    /// The error that the password cannot be used, because of `why`; `remedy` says what would be right.
    pub fn wrong(&self, why: &str, remedy: &str) -> ConfigError {
        match &self.password_file {
            Some(path) => {
                ConfigError::new(Self::FILE_ORIGIN, path.display().to_string(), why, remedy)
            }
            None => ConfigError::new("the variable XR_PASSWORD", "***", why, remedy),
        }
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

    #[test]
    fn a_password_is_a_line_with_its_spaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let password_file = Some(path.clone());
            PasswordArgs { password_file }.load()
        };
        for (text, password) in [
            ("correct horse ", "correct horse "),
            ("käse\n", "käse"),
            ("a\r\n", "a"),
        ] {
            assert_eq!(read(text).unwrap().unwrap().expose(), password);
        }
        for (text, why) in [("\n", "empty"), ("a\nb\n", "one line"), ("a\0", "one line")] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("holds the password"),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn only_the_same_text_matches(a in "[a-d]{0,4}", b in "[a-d]{0,4}") {
            prop_assert_eq!(Secret::new(a.clone()).matches(&b), a == b);
        }
    }
}
