//! The hint that names the nearest known word.

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
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

/// The nearest known word to write instead of `word`, then all of them.
pub fn hint(word: &str, known: &[&str]) -> String {
    let all = known.join(", ");
    nearest(word, known.iter().copied()).map_or_else(
        || format!("known are: {all}"),
        |name| format!("did you mean `{name}`? known are: {all}"),
    )
}

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
