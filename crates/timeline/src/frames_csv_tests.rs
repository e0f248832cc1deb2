//! Tests of `frames.csv`: what is written is read, whatever a crash or a stranger made of it.

use std::io::BufReader;

use proptest::option;
use proptest::prelude::*;

use super::*;

fn any_row() -> impl Strategy<Value = FrameRow> {
    let time = || option::of(any::<u64>().prop_map(UnixMicros));
    (
        option::of(any::<u32>()),
        any::<u32>(),
        [time(), time(), time(), time(), time(), time()],
        time(),
        prop::sample::select(&Outcome::ALL),
        option::of(prop::sample::select(&Phase::ALL)),
        option::of(any::<bool>()),
        option::of("[A-Za-z0-9._-]{1,64}".prop_map(|name| ClientName::new(&name).unwrap())),
    )
        .prop_map(
            |(frame, key, points, shown, outcome, phase, disturbed, client)| FrameRow {
                frame: frame.map(FrameNumber),
                rtp_timestamp: RtpTimestamp(key),
                points,
                shown,
                outcome,
                phase,
                disturbed,
                client,
            },
        )
}

fn written(rows: &[FrameRow]) -> Vec<u8> {
    let mut writer = FrameWriter::begin(Vec::new()).unwrap();
    for row in rows {
        writer.write(row).unwrap();
    }
    writer.into_inner()
}

proptest! {
    /// A file cut anywhere yields exactly the rows whose lines are whole, and says that it was cut.
    #[test]
    fn a_cut_loses_the_cut_line_only(rows in prop::collection::vec(any_row(), 0..8), cut: prop::sample::Index) {
        let mut file = written(&rows);
        file.truncate(cut.index(file.len() + 1));
        let whole = file.split(|byte| *byte == b'\n').count().saturating_sub(2);
        let cut_off = !file.is_empty() && !file.ends_with(b"\n");
        // A small buffer makes lines span it.
        let mut reader = FrameReader::new(BufReader::with_capacity(16, &file[..])).unwrap();
        let read: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        prop_assert_eq!(&read[..], &rows[..whole]);
        prop_assert_eq!(reader.was_cut_off(), cut_off);
    }

    /// Any bytes end, without a panic.
    #[test]
    fn garbage_ends(noise: Vec<u8>, with_header: bool) {
        let mut file = if with_header { written(&[]) } else { Vec::new() };
        file.extend(noise);
        if let Ok(reader) = FrameReader::new(&file[..]) {
            prop_assert!(reader.count() <= file.len());
        }
    }
}

#[test]
fn the_file_looks_as_documented() {
    let report = FrameReport {
        sequence: 0,
        rtp_timestamp: RtpTimestamp(90),
        reading: Reading::Read {
            frame: FrameNumber(7),
            generated: UnixMicros(1_000),
        },
        received: None,
        decoded: UnixMicros(26_000),
        shown: UnixMicros(26_500),
    };
    let mut row = FrameRow::from_report(&report);
    row.phase = Some(Phase::Measured);
    row.disturbed = Some(false);
    row.client = Some(ClientName::new("a").unwrap());
    assert_eq!(row.latency_us(), Some(25_000));
    assert_eq!(
        (row.stage_us(Stage::Decode), row.has_every_point()),
        (None, false)
    );
    let unread = FrameRow::from_report(&FrameReport {
        reading: Reading::Unread,
        ..report
    });
    assert_eq!(unread.latency_us(), None);
    let text = String::from_utf8(written(&[row, unread])).unwrap();
    let expected = "frame,rtp_timestamp,generated_us,encoded_us,ingested_us,relayed_us,received_us,decoded_us,shown_us,\
                    outcome,phase,disturbed,client\n\
                    7,90,1000,,,,,26000,26500,shown,measured,false,a\n\
                    ,90,,,,,,26000,26500,unread,,,\n";
    assert_eq!(text, expected);
}

#[test]
fn a_broken_line_is_named_and_the_rest_is_read() {
    let row = FrameRow::new(RtpTimestamp(1), Outcome::Lost);
    let mut file = written(&[row]);
    file.extend(b"1,2,x,,,,,,,shown,,\n");
    file.extend([b'9'; 10_000]);
    file.extend(b"\n1,4294967296,,,,,,,,shown,,\n1,2,,,,,,,,seen,,\n1,2,,,,,,,,shown,,,a b\n,1,,,,,,,,lost,,\r\n");
    let read: Vec<_> = FrameReader::new(&file[..]).unwrap().collect();
    let told: Vec<_> = read
        .iter()
        .map(|row| {
            row.as_ref()
                .map_or_else(ToString::to_string, |_| "row".into())
        })
        .collect();
    assert_eq!(
        told,
        [
            "row",
            "line 3, column \"generated_us\": \"x\" is not a value of it",
            "line 4 is longer than 4096 bytes",
            "line 5, column \"rtp_timestamp\": \"4294967296\" is not a value of it",
            "line 6, column \"outcome\": \"seen\" is not a value of it",
            "line 7, column \"client\": \"a b\" is not a value of it",
            "row",
        ]
    );
}

#[test]
fn columns_are_found_by_name_and_missed_by_name() {
    let file = "colour,outcome,disturbed,phase,shown_us,decoded_us,received_us,relayed_us,ingested_us,encoded_us,\
                generated_us,rtp_timestamp,frame\nblue,shown,true,warmup,9,8,7,6,5,4,3,2,1\n";
    let row = FrameReader::new(file.as_bytes())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(
        row.points,
        [3, 4, 5, 6, 7, 8].map(|at| Some(UnixMicros(at)))
    );
    assert_eq!(
        (row.frame, row.shown),
        (Some(FrameNumber(1)), Some(UnixMicros(9)))
    );
    assert_eq!(
        row.client, None,
        "a file without the column is of one client"
    );
    let error = FrameReader::new(&b"frame,rtp_timestamp\n"[..]).unwrap_err();
    assert!(error.to_string().contains("generated_us"), "{error}");
}
