//! A collector that is killed while frames wait: what it acknowledged a second before is there.

use std::collections::HashSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use result::{FrameRows, RepetitionFolder};
use timeline::frames_csv::Outcome;
use timeline::{FrameNumber, FrameReport, Reading, RtpTimestamp, UnixMicros};

use super::{post, start};

/// How much of what was acknowledged a kill may take.
const AT_MOST: Duration = Duration::from_secs(1);

/// What counts of the time between two answers: where it is longer, the machine stood still, and the collector with it.
const PACE: Duration = Duration::from_millis(50);

fn report(sequence: u64) -> FrameReport {
    // Apart by more than the twelve microseconds that a key has.
    let generated = UnixMicros(service::clock::now().0 + 100 * (sequence % 2));
    let decoded = UnixMicros(generated.0 + 9_000);
    FrameReport {
        sequence,
        rtp_timestamp: RtpTimestamp::from_generated(generated),
        reading: Reading::Read {
            frame: FrameNumber(u32::try_from(sequence).expect("few")),
            generated,
        },
        received: None,
        decoded,
        shown: decoded,
    }
}

/// Keys of the frames that a repetition shows, each of which it has once.
fn shown(folder: &RepetitionFolder) -> HashSet<RtpTimestamp> {
    let rows = FrameRows::open(folder).expect("frames.csv");
    let rows = rows.map(|row| row.expect("a row"));
    let shown = rows.filter(|row| row.outcome == Outcome::Shown);
    let mut keys = HashSet::new();
    for row in shown {
        assert!(keys.insert(row.rtp_timestamp), "twice: {row:?}");
    }
    keys
}

/// Every frame waits for a service that takes connections and says nothing. Each collector goes on in the folder of the one
/// before it, and settles what that one left.
#[test]
fn what_was_acknowledged_a_second_before_a_kill_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("collected");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = format!("silent={}", silent.local_addr().expect("bound"));
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut owed: Vec<HashSet<RtpTimestamp>> = Vec::new();
    for _ in 0..4 {
        let (mut child, address) = start(&out, &["--scrape", &silent]);
        let lives = Duration::from_millis(random.u64(1_200..2_600));
        // Time in which it ran.
        let (mut ran, mut last, mut acknowledged) = (Duration::ZERO, Instant::now(), Vec::new());
        while ran < lives {
            let reports = [0, 1].map(|n| report(acknowledged.len() as u64 + n));
            let lines = reports.map(|report| serde_json::to_string(&report).expect("JSON"));
            let answer = post(&address, &lines.join("\n"));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            ran += last.elapsed().min(PACE);
            last = Instant::now();
            acknowledged.extend(reports.map(|report| (ran, report.rtp_timestamp)));
        }
        child.0.kill().expect("it runs");
        child.0.wait().expect("it ends");
        let old = acknowledged.iter().filter(|(at, _)| ran >= *at + AT_MOST);
        owed.push(old.map(|(_, key)| *key).collect());
        // Read as it was left, and the others as they were settled.
        for (run, owed) in (1..).zip(&owed) {
            let repetition = RepetitionFolder::new(out.join(format!("collected/run-{run}")));
            let (shown, run_owes) = (shown(&repetition), owed.len());
            let missing = owed.difference(&shown).count();
            assert_eq!(missing, 0, "of {run_owes} in run {run}, with seed {seed}");
            assert!(run_owes > 0, "run {run}, with seed {seed}");
        }
    }
    let left = out.join("collected/run-1/frames-open.csv");
    assert!(!left.exists(), "the next start put it into frames.csv");
}
