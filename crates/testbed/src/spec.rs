//! What is to be started, and where.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::Ready;
use crate::cgroup::Group;
use crate::netns::Netns;

/// Takes each line that the process prints on its standard output, without the line's end.
pub type LineFn = Arc<dyn Fn(&str) + Send + Sync>;

/// Where the processes of a scenario run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// Beside the runner, on its loopback.
    #[default]
    Host,
    /// In a network namespace of a lab.
    Pod(Netns),
}

impl Placement {
    /// The namespace, where it is not the runner's.
    pub(crate) const fn netns(&self) -> Option<&Netns> {
        match self {
            Self::Host => None,
            Self::Pod(netns) => Some(netns),
        }
    }
}

/// One process to start.
#[derive(Clone)]
pub struct Spec {
    /// What it is in the scenario, for example `streamer`. Events, samples and logs carry this word.
    pub role: String,
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Variables whose names begin so are not handed down: what is meant for the runner is not meant for its processes.
    pub env_remove: Option<String>,
    /// Its standard error goes to this file.
    pub log: PathBuf,
    /// How many bytes of log are kept: the first half of it from the beginning, the rest from the end.
    pub log_limit_bytes: usize,
    /// Called with each line of the standard output.
    pub on_line: Option<LineFn>,
    /// For a program that writes no ready line: it is ready once its standard error holds this text.
    pub ready_when: Option<String>,
    /// Its standard output goes to the log too, line by line: some programs report errors there.
    pub log_stdout: bool,
    /// It gives up root by itself; see [`crate::pretend`].
    pub pretend: bool,
    /// Namespaces whose descriptors the process inherits, so that it finds them at [`Netns::inherited_path`].
    pub inherit: Vec<Netns>,
    /// The group that it is put into before its program begins; none leaves it in ours.
    pub group: Option<Group>,
}

impl Spec {
    /// A process of 8 MiB of log at most.
    pub fn new(
        role: impl Into<String>,
        program: impl Into<PathBuf>,
        log: impl Into<PathBuf>,
    ) -> Self {
        Self {
            role: role.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: None,
            log: log.into(),
            log_limit_bytes: 8 << 20,
            on_line: None,
            ready_when: None,
            log_stdout: false,
            pretend: false,
            inherit: Vec::new(),
            group: None,
        }
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// See [`Spec::env_remove`].
    #[must_use]
    pub fn env_remove(mut self, prefix: impl Into<String>) -> Self {
        self.env_remove = Some(prefix.into());
        self
    }

    /// See [`Spec::on_line`].
    #[must_use]
    pub fn on_line(mut self, take: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_line = Some(Arc::new(take));
        self
    }

    /// See [`Spec::ready_when`].
    #[must_use]
    pub fn ready_when(mut self, text: impl Into<String>) -> Self {
        self.ready_when = Some(text.into());
        self
    }

    /// See [`Spec::log_stdout`].
    #[must_use]
    pub fn log_stdout(mut self) -> Self {
        self.log_stdout = true;
        self
    }

    /// See [`Spec::pretend`].
    #[must_use]
    pub fn pretend(mut self) -> Self {
        self.pretend = true;
        self
    }

    /// See [`Spec::inherit`].
    #[must_use]
    pub fn inherit(mut self, netns: Netns) -> Self {
        self.inherit.push(netns);
        self
    }

    /// See [`Spec::group`].
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.group = Some(group);
        self
    }

    /// The command line, program first.
    pub fn command_line(&self) -> Vec<String> {
        let mut line = vec![self.program.display().to_string()];
        line.extend(self.args.iter().cloned());
        line
    }

    /// The same process on the addresses of its ready line, so that one which drew its ports comes back where the others
    /// know it: the address `ops` is the value of the flag `--ops`, and so on.
    pub(crate) fn rebound(&self, ready: &Ready) -> Self {
        let mut again = self.clone();
        for (key, address) in ready.addresses() {
            let (flag, joined) = (format!("--{key}"), format!("--{key}="));
            let mut value_follows = false;
            for arg in &mut again.args {
                if value_follows {
                    *arg = address.to_string();
                } else if arg.starts_with(&joined) {
                    *arg = format!("{joined}{address}");
                }
                value_follows = *arg == flag;
            }
        }
        again
    }

    /// The command, all but the hook between fork and exec, which puts it into its place.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(prefix) = &self.env_remove {
            let names = std::env::vars_os().map(|(name, _)| name);
            for name in names.filter(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
            {
                command.env_remove(name);
            }
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: a Ctrl-C at the terminal is the runner's to pass on, in the right order.
            .process_group(0);
        command
    }
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spec")
            .field("role", &self.role)
            .field("command", &self.command_line())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_keeps_the_ports_that_were_drawn() {
        let spec = Spec::new("streamer", "xr-streamer", "log").args([
            "--http",
            "127.0.0.1:0",
            "--log",
            "info",
            "--ops=127.0.0.1:0",
        ]);
        let ready = Ready::parse(
            r#"{"event":"ready","log":"x","http":"127.0.0.1:4242","ops":"127.0.0.1:4243","rtsp":"[::1]:4244"}"#,
        )
        .expect("a ready line");
        let args = spec.rebound(&ready).args;
        assert_eq!(
            args,
            [
                "--http",
                "127.0.0.1:4242",
                "--log",
                "info",
                "--ops=127.0.0.1:4243"
            ]
        );
    }
}
