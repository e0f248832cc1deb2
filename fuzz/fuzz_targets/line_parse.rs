//! Any text as a line: parsing never panics, and whatever is accepted is what formatting it gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stamp::line;

fuzz_target!(|text: &str| {
    if let Ok(stamp) = line::parse(text) {
        let digits: String = text
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        assert_eq!(line::format(stamp).replace(' ', ""), digits);
    }
});
