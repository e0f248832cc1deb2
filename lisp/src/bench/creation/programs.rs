//! The control plane and the agent as processes beside the API server; they end with the experiment.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ipnet::Ipv4Net;
use service::Secret;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::event_log::EventLog;

/// How long a program may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cluster's name at the control plane.
const CLUSTER: &str = "bench";

/// Where the cluster's tunnel router would be (RFC 5737).
const LOCATOR: &str = "192.0.2.11";

/// The names of both, as they are in events.csv and of their logs.
pub(super) const CONTROL: &str = "control";
pub(super) const AGENT: &str = "agent";

/// The two programs.
pub(super) struct Programs {
    folder: PathBuf,
    program: PathBuf,
    running: Vec<(&'static str, Child)>,
}

impl Programs {
    /// No program yet. What the programs read, keep and log goes into the folder.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            program: std::env::current_exe()?,
            running: Vec::new(),
        })
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.file(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {path}"))?;
        Ok(path)
    }

    fn start(
        &mut self,
        who: &'static str,
        args: &[String],
        events: &EventLog,
    ) -> anyhow::Result<()> {
        let log = self.file(&format!("{who}.log"));
        let log = File::create(&log).with_context(|| format!("cannot write {log}"))?;
        let child = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.with_context(|| format!("cannot start the {who}"))?;
        events.listen(who, child.stdout.take().context("it has an output")?);
        self.running.push((who, child));
        Ok(())
    }

    /// Starts the control plane, whose addresses are of this pool; its API.
    pub(super) async fn start_control(
        &mut self,
        pool: Ipv4Net,
        events: &mut EventLog,
    ) -> anyhow::Result<String> {
        let key = self.write("key", Secret::random()?.expose())?;
        self.write("token", Secret::random()?.expose())?;
        let config = format!(
            "address = \"127.0.0.1\"\n[[site]]\nid = 1\nname = {CLUSTER:?}\nkey = [{{ id = 1, file = {key:?} }}]\n\
             [[pool]]\nname = \"default\"\nprefix = \"{pool}\"\n"
        );
        let config = self.write("lisp.toml", &config)?;
        let store = self.file("store.sqlite");
        let token = self.file("token");
        let files = [
            "--config",
            &config,
            "--store",
            &store,
            "--token-file",
            &token,
        ];
        let ports = ["--listen", "--api", "--ops"].map(|port| [port, "127.0.0.1:0"]);
        let args = ["control", "--events"]
            .iter()
            .chain(&files)
            .chain(ports.as_flattened());
        let args: Vec<_> = args.map(|arg| (*arg).to_owned()).collect();
        self.start(CONTROL, &args, events)?;
        self.address(CONTROL, "api", events).await
    }

    /// Starts the agent, and waits until the API server can call it; `access` says how it reaches that.
    pub(super) async fn start_agent(
        &mut self,
        control: &str,
        webhook: SocketAddr,
        configuration: &str,
        access: Vec<String>,
        events: &mut EventLog,
    ) -> anyhow::Result<()> {
        let (control, token) = (format!("http://{control}"), self.file("token"));
        let (name, webhook) = (webhook.ip().to_string(), webhook.to_string());
        let args = [
            ["agent", "--events", "--cluster", CLUSTER].as_slice(),
            &["--locator", LOCATOR, "--control", &control],
            &["--token-file", &token, "--webhook", &webhook],
            &["--webhook-name", &name, "--ops", "127.0.0.1:0"],
            &["--webhook-configuration", configuration],
        ];
        let args = args.concat().into_iter().map(str::to_owned);
        let args: Vec<_> = args.chain(access).collect();
        self.start(AGENT, &args, events)?;
        let ops = self.address(AGENT, "ops", events).await?;
        let url = format!("http://{ops}/ready");
        let client = reqwest::Client::builder().no_proxy().build()?;
        let begun = Instant::now();
        loop {
            let answer = client.get(&url).send().await;
            let why = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > PATIENCE {
                bail!(
                    "the agent is not ready: {}; {}",
                    why.trim(),
                    self.tail(AGENT)
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn address(
        &self,
        who: &'static str,
        port: &'static str,
        events: &mut EventLog,
    ) -> anyhow::Result<String> {
        let address = events.until("it is ready", PATIENCE, |events| events.address(who, port));
        let address = address.await;
        address.with_context(|| format!("the {who}: {}", self.tail(who)))
    }

    /// The last line of a program's log.
    fn tail(&self, who: &str) -> String {
        let log = std::fs::read_to_string(self.folder.join(format!("{who}.log")));
        let log = log.unwrap_or_default();
        log.lines().last().unwrap_or("its log is empty").to_owned()
    }

    /// Memory of each program that is in use, in KiB.
    pub(super) fn memory_kib(&self) -> Vec<(&'static str, u64)> {
        let of = |(who, child): &(&'static str, Child)| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()?)).ok()?;
            Some((*who, resident_kib(&status)?))
        };
        self.running.iter().filter_map(of).collect()
    }
}

/// The resident memory in `status` of proc(5), in KiB.
fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        let status = "Name:\txr-lisp\nVmHWM:\t   90000 kB\nVmRSS:\t   81234 kB\n";
        assert_eq!(resident_kib(status), Some(81_234));
        for wrong in ["", "VmRSS:\n", "VmRSS:\t12 MB\n"] {
            assert_eq!(resident_kib(wrong), None, "{wrong:?}");
        }
    }
}
