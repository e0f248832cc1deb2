//! The events of agent and control plane, gathered: from their standard outputs, or from files that grow.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncSeekExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::services::ServiceName;
use crate::told::Told;

/// How often a file is looked at that has not grown.
const LOOK: Duration = Duration::from_millis(5);

/// Lines that wait to be taken.
const QUEUE: usize = 65_536;

/// A line of a program.
type Line = (&'static str, String);

/// Events that programs have printed, by the service that they are about.
pub(super) struct EventLog {
    sender: mpsc::Sender<Line>,
    lines: mpsc::Receiver<Line>,
    by_service: BTreeMap<ServiceName, Vec<(&'static str, Told)>>,
    /// Addresses of programs that are ready, by the program and the name of the port.
    addresses: BTreeMap<&'static str, Value>,
}

impl EventLog {
    pub(super) fn new() -> Self {
        let (sender, lines) = mpsc::channel(QUEUE);
        Self {
            sender,
            lines,
            by_service: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// Reads the events that a program prints from now on, until its end.
    pub(super) fn listen(
        &self,
        who: &'static str,
        output: impl AsyncRead + Send + Unpin + 'static,
    ) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send((who, line)).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Reads the events by which a file grows from now on.
    pub(super) async fn follow(&self, who: &'static str, path: PathBuf) -> anyhow::Result<()> {
        let file = File::open(&path).await;
        let mut file = file.with_context(|| format!("cannot read {}", path.display()))?;
        file.seek(SeekFrom::End(0)).await?;
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(file);
            let mut line = String::new();
            // What there is of a line stays in it until the rest has come.
            while let Ok(read) = reader.read_line(&mut line).await {
                if !line.ends_with('\n') {
                    if sender.is_closed() {
                        return;
                    }
                    if read == 0 {
                        sleep(LOOK).await;
                    }
                    continue;
                }
                if sender.send((who, std::mem::take(&mut line))).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    fn take(&mut self, (who, line): Line) {
        // A pod's log has other lines too.
        let Ok(value) = serde_json::from_str::<Value>(&line) else {
            return;
        };
        let Ok(told) = serde_json::from_value::<Told>(value.clone()) else {
            return;
        };
        match &told {
            Told::Ready => {
                self.addresses.insert(who, value);
            }
            Told::Reviewed { service, .. }
            | Told::Registered { service, .. }
            | Told::Served { service, .. } => {
                let of_it = self.by_service.entry(service.clone()).or_default();
                of_it.push((who, told));
            }
            _ => {}
        }
    }

    /// Takes in the events that have come by now.
    pub(super) fn take_all(&mut self) {
        while let Ok(line) = self.lines.try_recv() {
            self.take(line);
        }
    }

    /// Takes in events until `found` finds something.
    pub(super) async fn until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        found: impl Fn(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + patience;
        loop {
            if let Some(found) = found(self) {
                return Ok(found);
            }
            match timeout_at(end, self.lines.recv()).await {
                Ok(Some(line)) => self.take(line),
                // It has a sender itself.
                Ok(None) => bail!("nobody says anything any more"),
                Err(_) => bail!("not within {} s: {what}", patience.as_secs()),
            }
        }
    }

    /// The address of a port that a program has told when it was ready.
    pub(super) fn address(&self, who: &str, port: &str) -> Option<String> {
        let told = self.addresses.get(who)?;
        Some(told[port].as_str()?.to_owned())
    }

    /// The events about a service, each with the program that printed it.
    pub(super) fn about(&self, service: &ServiceName) -> &[(&'static str, Told)] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    /// Whether an agent has had its cluster registered for a service.
    pub(super) fn is_registered(&self, service: &ServiceName) -> bool {
        let mut about = self.about(service).iter();
        about.any(|(_, told)| matches!(told, Told::Registered { .. }))
    }

    /// Forgets the events about a service.
    pub(super) fn forget(&mut self, service: &ServiceName) {
        self.by_service.remove(service);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn lines_of_outputs_and_of_files_that_grow_are_told_by_service() {
        let mut events = EventLog::new();
        let ready = &b"{\"event\":\"ready\",\"program\":\"xr-lisp\",\"api\":\"127.0.0.1:7\"}\n"[..];
        events.listen("control", ready);
        let api = events.until("ready", PATIENCE, |events| events.address("control", "api"));
        assert_eq!(api.await.unwrap(), "127.0.0.1:7");

        let mut file = tempfile::NamedTempFile::new().unwrap();
        let line = |name: &str| {
            format!(
                "{{\"event\":\"registered\",\"at_ns\":1,\"noticing_ns\":2,\"answering_ns\":3,\"service\":\"bench/{name}\"}}\n"
            )
        };
        file.write_all(line("before").as_bytes()).unwrap();
        events
            .follow("agent", file.path().to_owned())
            .await
            .unwrap();
        let (one, two) = (line("one"), line("two"));
        let (half, rest) = two.split_at(20);
        let mut more = |text: &str| {
            file.write_all(text.as_bytes()).unwrap();
            file.flush().unwrap();
        };
        more(&format!("a log's line\n{one}{half}"));
        let service = |name: &str| -> ServiceName { format!("bench/{name}").parse().unwrap() };
        let registered = |name: &'static str| {
            move |events: &EventLog| events.is_registered(&service(name)).then_some(())
        };
        events
            .until("one", PATIENCE, registered("one"))
            .await
            .unwrap();
        more(rest);
        events
            .until("two", PATIENCE, registered("two"))
            .await
            .unwrap();
        assert!(!events.is_registered(&service("before")));
        events.forget(&service("one"));
        assert!(events.about(&service("one")).is_empty());
        let never = events.until("three", Duration::from_millis(20), registered("three"));
        assert!(never.await.unwrap_err().to_string().contains("three"));
    }
}
