//! Words of a scenario file that are one of a few, and the hint that names the nearest one.

/// The known word that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, name), name))
        .filter(|(distance, name)| {
            *distance <= name.len().max(word.len()).div_ceil(2) || name.contains(&lower)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What would be right instead of `word`: the nearest known word, then all of them.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    nearest(word, known.iter().copied()).map_or_else(
        || format!("known are: {all}"),
        |name| format!("did you mean `{name}`? known are: {all}"),
    )
}

/// An enum whose variants are words: `FromStr`, `Display` and serde by these words, errors with a hint.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("unknown value {word:?}; {}", $crate::scenario::choice::hint(word, Self::WORDS))),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        $crate::scenario::units::by_text!($name);
    };
}
pub(crate) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_near() {
        let known = ["duration", "transport", "decoder_threads"];
        assert_eq!(nearest("duratoin", known), Some("duration"));
        assert_eq!(nearest("Transport", known), Some("transport"));
        assert_eq!(nearest("threads", known), Some("decoder_threads"));
        assert_eq!(nearest("xyzzy", known), None);
        assert!(hint("xyzzy", &known).starts_with("known are: duration, transport"));
    }
}
