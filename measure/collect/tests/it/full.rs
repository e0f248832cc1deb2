//! A disk that is full for a while: what was acknowledged before and after is there, and nothing is acknowledged meanwhile.

use std::collections::HashSet;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use result::{FrameRows, RepetitionFolder};
use timeline::{FrameReport, Reading, RtpTimestamp};

use super::{post, start_by};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_mins(1);

/// A shell that lets no file grow beyond 16 KiB, and leaves the rest to the collector. Such a write fails as on a full disk.
const SMALL: &str = "trap '' XFSZ; ulimit -S -f 16; exec \"$0\" \"$@\"";

/// Posts twenty reports, and gives their keys if they are taken.
fn post_some(address: &str, first: u32) -> Result<Vec<RtpTimestamp>, String> {
    let now = service::clock::now();
    let keys: Vec<_> = (first..first + 20).map(RtpTimestamp).collect();
    let lines = keys.iter().map(|key| {
        let report = FrameReport {
            sequence: u64::from(key.0),
            rtp_timestamp: *key,
            reading: Reading::Unread,
            received: None,
            decoded: now,
            shown: now,
        };
        serde_json::to_string(&report).expect("JSON")
    });
    let answer = post(address, &lines.collect::<Vec<_>>().join("\n"));
    if answer.starts_with("HTTP/1.1 200") {
        Ok(keys)
    } else {
        Err(answer)
    }
}

#[test]
fn a_full_disk_takes_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("collected");
    let mut shell = Command::new("bash");
    shell.args(["-c", SMALL, env!("CARGO_BIN_EXE_xr-collector")]);
    let (mut child, address) = start_by(shell, &out, &[]);
    let begun = Instant::now();
    let mut acknowledged = Vec::new();
    let mut posts = (0_u32..).map(|n| post_some(&address, 20 * n));
    let refusal = loop {
        match posts.next().expect("endless") {
            Ok(keys) => acknowledged.extend(keys),
            Err(refusal) => break refusal,
        }
        assert!(begun.elapsed() < PATIENCE, "it was never full");
    };
    assert!(refusal.starts_with("HTTP/1.1 503"), "{refusal}");
    assert!(
        refusal.contains("frames.csv") && refusal.contains("remedy"),
        "{refusal}"
    );

    let pid = child.0.id().to_string();
    let room = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited:"])
        .status();
    assert!(room.expect("prlimit runs").success());
    let after = loop {
        if let Ok(keys) = posts.next().expect("endless") {
            break keys;
        }
        assert!(begun.elapsed() < PATIENCE, "it does not go on");
    };
    acknowledged.extend(after);
    kill(Pid::from_raw(child.0.id().cast_signed()), Signal::SIGTERM).expect("told to stop");
    assert_eq!(child.0.wait().expect("it ends").code(), Some(0));
    let repetition = RepetitionFolder::new(out.join("collected/run-1"));
    let rows = FrameRows::open(&repetition).expect("frames.csv");
    let keys: Vec<_> = rows.map(|row| row.expect("a row").rtp_timestamp).collect();
    let distinct: HashSet<_> = keys.iter().copied().collect();
    assert_eq!(keys.len(), distinct.len(), "none is there twice");
    assert_eq!(distinct, acknowledged.into_iter().collect());
}
