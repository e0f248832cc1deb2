//! What is to be started, and where.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::Ready;
use crate::cgroup::Group;
use crate::netns::Netns;

/// Variables that lead a program's requests elsewhere, and all in capitals too: what is started here is told whom to speak with.
const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

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

/// One process to start: `Spec { args, ..Spec::new(role, program, log) }`.
#[derive(Clone)]
pub struct Spec {
    /// What it is in the scenario, for example `streamer`. Events, samples and logs carry this word.
    pub role: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: Vec<(String, String)>,
    /// Variables whose names begin so are not handed down: what is meant for the runner is not meant for its processes.
    pub env_remove: Option<String>,
    /// The file that takes the standard error.
    pub log: PathBuf,
    /// How many bytes of log are kept: the first half of it from the beginning, the rest from the end.
    pub log_limit_bytes: usize,
    /// Called with each line of the standard output.
    pub on_line: Option<LineFn>,
    /// For a program that writes no ready line: it is ready once its standard error holds this text.
    pub ready_when: Option<String>,
    /// Whether the standard output goes to the log too, line by line: some programs report errors there.
    pub log_stdout: bool,
    /// Whether the program gives up root by itself; see [`crate::pretend`].
    pub pretend: bool,
    /// Namespaces whose descriptors the process inherits, so that it finds them at [`Netns::inherited_path`].
    pub inherit: Vec<Netns>,
    /// The group that it is put into before its program begins; none leaves it in ours.
    pub group: Option<Group>,
}

impl Spec {
    /// A program without arguments, which logs 8 MiB at most.
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

    /// The command line, program first.
    pub fn command_line(&self) -> Vec<String> {
        let mut line = vec![self.program.display().to_string()];
        line.extend(self.args.iter().cloned());
        line
    }

    /// This process on the addresses of its ready line, so that one which drew its ports comes back where the others know it:
    /// the address `ops` is the value of the flag `--ops`, and so on.
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
        for name in PROXIES {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
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
    fn a_proxy_is_used_only_where_the_spec_itself_names_one() {
        let given = |spec: &Spec, name: &str| {
            let command = spec.command();
            let mut variables = command.get_envs();
            let found = variables.find(|(variable, _)| *variable == name);
            found.map(|(_, value)| value.map(|value| value.to_string_lossy().into_owned()))
        };
        let spec = Spec::new("renderer", "ffmpeg", "log");
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "NO_PROXY"] {
            assert_eq!(given(&spec, name), Some(None), "{name} is not handed down");
        }
        let spec = Spec {
            env: vec![("http_proxy".into(), "http://h:1".into())],
            ..spec
        };
        assert_eq!(given(&spec, "http_proxy"), Some(Some("http://h:1".into())));
    }

    #[test]
    fn a_restart_keeps_the_ports_that_were_drawn() {
        let args = "--http 127.0.0.1:0 --log info --ops=127.0.0.1:0";
        let spec = Spec {
            args: args.split(' ').map(ToOwned::to_owned).collect(),
            ..Spec::new("streamer", "xr-streamer", "log")
        };
        let ready = Ready::parse(
            r#"{"event":"ready","log":"x","http":"127.0.0.1:4242","ops":"127.0.0.1:4243","rtsp":"[::1]:4244"}"#,
        )
        .expect("a ready line");
        assert_eq!(
            spec.rebound(&ready).args.join(" "),
            "--http 127.0.0.1:4242 --log info --ops=127.0.0.1:4243"
        );
    }
}
