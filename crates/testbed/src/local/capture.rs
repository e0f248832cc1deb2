//! Captures of what passes an interface of the lab, by tcpdump.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::command::{self, Missing};
use super::lab::{Lab, LabError};
use crate::{Exit, NotReady, Process, Spec, StartError};

/// What tcpdump gets to start, and to write its file to the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A capture that runs. Dropping it kills it, which may cut its last packet.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    path: PathBuf,
}

/// What a capture says of itself at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Packets in the file.
    pub packets: u64,
    /// Packets that the kernel had no room for.
    pub dropped: u64,
}

/// There is no capture, or not a whole one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is no such namespace.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// tcpdump is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// tcpdump could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// tcpdump does not listen.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// tcpdump did not end well.
    #[error("the capture {path} ended by {exit}; the end of its log:\n{tail}")]
    Ended {
        path: PathBuf,
        exit: Exit,
        /// The end of its log.
        tail: String,
    },
}

impl Lab {
    /// Starts to write what passes `interface` in `namespace` into a pcap file, whole packets, as far as the filter
    /// (pcap-filter(7); none for all) lets them. Returns once it listens.
    pub async fn capture(
        &self,
        namespace: &str,
        interface: &str,
        path: &Path,
        filter: Option<&str>,
    ) -> Result<Capture, CaptureError> {
        let place = self.pod(namespace)?;
        let role = format!("capture-{namespace}-{interface}");
        let log = self.options().logs.join(format!("{role}.log"));
        // A snapshot longer than any packet of a WAN: room for the default length would make 32 packets of the whole buffer.
        let fixed = "-n -U --immediate-mode -s 2048 -B 8192";
        // -Z root: else it writes as a user who may not write here.
        let path_text = path.to_string_lossy();
        let given = ["-i", interface, "-Z", "root", "-w", &path_text];
        let words = fixed.split(' ').chain(given);
        let words = words.chain(filter.unwrap_or_default().split_whitespace());
        let spec = Spec {
            args: words.map(ToOwned::to_owned).collect(),
            ready_when: Some("listening on".to_owned()),
            pretend: true,
            ..Spec::new(role, command::find("tcpdump")?, log)
        };
        let process = self.options().testbed.at(place).start(spec)?;
        process.ready(PATIENCE).await?;
        Ok(Capture {
            process,
            path: path.to_owned(),
        })
    }
}

impl Capture {
    /// The pcap file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends the capture; then the file is whole.
    pub async fn end(self) -> Result<Captured, CaptureError> {
        let exit = self.process.interrupt(PATIENCE).await;
        let tail = self.process.log_tail();
        if !exit.is_success() {
            return Err(CaptureError::Ended {
                path: self.path,
                exit,
                tail,
            });
        }
        Ok(Captured {
            packets: figure(&tail, "packets captured"),
            dropped: figure(&tail, "packets dropped by kernel"),
        })
    }
}

/// The number before these words; tcpdump writes `1 packet captured` too.
fn figure(log: &str, words: &str) -> u64 {
    let one = words.replacen("packets", "packet", 1);
    log.lines()
        .find_map(|line| {
            let (number, said) = line.trim().split_once(' ')?;
            (said == words || said == one).then(|| number.parse().ok())?
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tcpdump_says_at_its_end_is_read() {
        let log = "tcpdump: listening on eth0\n12 packets captured\n14 packets received by filter\n1 packet dropped by kernel";
        assert_eq!(figure(log, "packets captured"), 12);
        assert_eq!(figure(log, "packets dropped by kernel"), 1);
        assert_eq!(figure("", "packets captured"), 0);
    }
}
