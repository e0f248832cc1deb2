//! Times of the calendar as text, in UTC.

use jiff::Timestamp;
use timeline::UnixMicros;

/// A time to the minute, for people: `2026-11-22 02:45 UTC`.
pub fn to_the_minute(at: UnixMicros) -> String {
    text(at, "%Y-%m-%d %H:%M UTC")
}

/// A time to the second without blanks, for the name of a folder: `20261122T024500Z`.
pub fn compact(at: UnixMicros) -> String {
    text(at, "%Y%m%dT%H%M%SZ")
}

fn text(at: UnixMicros, format: &str) -> String {
    // A time beyond the year 9999 is none of a clock: the last that there is stands for it.
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    let at = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, minute, second) in [
            (0, "1970-01-01 00:00 UTC", "19700101T000000Z"),
            (951_782_400, "2000-02-29 00:00 UTC", "20000229T000000Z"),
            (1_763_780_400, "2025-11-22 03:00 UTC", "20251122T030000Z"),
            (4_107_542_399, "2100-02-28 23:59 UTC", "21000228T235959Z"),
            (4_107_542_400, "2100-03-01 00:00 UTC", "21000301T000000Z"),
        ] {
            let at = UnixMicros(seconds * 1_000_000);
            assert_eq!(
                (to_the_minute(at), compact(at)),
                (minute.into(), second.into())
            );
        }
        assert!(compact(UnixMicros(u64::MAX)).starts_with("9999"));
    }
}
