//! The floor mode.

use timeline::Point;
use timeline::frames_csv::{FrameReader, Outcome};

use crate::process::Renderer;

#[test]
fn the_floor_has_a_row_for_every_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("floor.csv");
    let renderer = Renderer::start(&[
        "--source",
        "test",
        "--floor",
        path.to_str().unwrap(),
        "--duration",
        "5s",
    ]);
    let (status, said) = renderer.wait();
    assert!(status.success(), "{said}");

    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = FrameReader::new(file).unwrap();
    let rows: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert!(!reader.was_cut_off());
    assert!(rows.len() > 30, "{} rows of 300 ticks", rows.len());
    for row in &rows {
        assert_eq!(row.outcome, Outcome::Shown);
        let at = |point| row.at(point).unwrap();
        assert!(at(Point::Generated) <= at(Point::Encoded));
        assert_eq!(
            at(Point::Encoded),
            at(Point::Received),
            "there is nothing between"
        );
        assert!(at(Point::Received) <= at(Point::Decoded));
        assert_eq!(
            row.rtp_timestamp,
            timeline::RtpTimestamp::from_generated(at(Point::Generated))
        );
    }
    assert!(rows.is_sorted_by(|one, other| one.frame < other.frame));
}
