//! The body of a post: one `FrameReport` a line, as JSON.

use timeline::FrameReport;

/// The longest body that is taken. A client sends at most 1000 reports at a time, some 200 kB.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// Reads the body of a post of reports. The error says which line is wrong, and why.
pub fn parse(body: &[u8]) -> Result<Vec<FrameReport>, String> {
    let lines = body
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_slice(line).map_err(|error| {
                let shown: String = String::from_utf8_lossy(line).chars().take(80).collect();
                format!("line {} is no frame report ({error}): {shown}", number + 1)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use timeline::{FrameNumber, Reading, RtpTimestamp, UnixMicros};

    use super::*;

    #[test]
    fn lines_are_read_and_a_wrong_one_is_named() {
        let report = FrameReport {
            sequence: 3,
            rtp_timestamp: RtpTimestamp(7),
            reading: Reading::Read {
                frame: FrameNumber(1),
                generated: UnixMicros(2),
            },
            received: None,
            decoded: UnixMicros(3),
            shown: UnixMicros(4),
        };
        let line = serde_json::to_string(&report).expect("JSON");
        assert_eq!(
            parse(format!("{line}\n\n{line}").as_bytes()),
            Ok(vec![report, report])
        );
        assert_eq!(parse(b""), Ok(Vec::new()));
        let error = parse(format!("{line}\nhello\n").as_bytes()).expect_err("a wrong line");
        assert!(
            error.contains("line 2") && error.contains("hello"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn garbage_is_refused_or_read_but_never_fatal(body in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = parse(&body);
        }
    }
}
