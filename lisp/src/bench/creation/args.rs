//! The command line of `xr-lisp bench creation`.

use std::net::IpAddr;
use std::path::PathBuf;

use cluster::Access;
use ipnet::Ipv4Net;
use service::ConfigError;
use service::args::whole;

const EXPLAINED: &str = "\
Services with the label xrbench.io/shared are created in a namespace of their own, one by one, beside as many others as --services says, \
and each one's way is taken apart:
  Create_to_getID      from the request to the API server until the agent has given the address
  getID_to_MapReg      from there until the agent has registered the cluster for it
  MapReg_to_complete   from there until the control plane has answered
and all of it once more by who took it: LISP (the agent and the control plane), the transfer between both, and Kubernetes, the rest.

The API server, with its controllers, is one that runs. The agent and the control plane are started here, as processes beside it, and the \
API server calls the agent's webhooks by URL at --webhook; or they are found running, on this machine, with --events on both, and what \
they say is read from the two files. A node and a pod are played: objects that nobody runs, so that no image is fetched. The namespace, \
the node and the webhook configurations have names of their own and go in the end; Services of others are not looked at.

Examples:
  What docs/lisp.md shows:
    xr-lisp bench creation --kubeconfig admin.kubeconfig --out creation
  For a program:
    xr-lisp bench creation --kubeconfig admin.kubeconfig --services 1 --repetitions 3 --json |
      jq .cells
  With the agent as a pod that has XR_LISP_EVENTS=true, and a control plane with --events:
    kubectl --namespace xr-lisp logs --follow deployment/xr-lisp-agent >agent.events &
    xr-lisp bench creation --agent-events agent.events --control-events control.events

It takes a kubeconfig that may do everything, and Kubernetes 1.20 or newer.";

/// The arguments of `xr-lisp bench creation`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXPLAINED)]
pub(crate) struct CreationArgs {
    /// How the API server is reached; without one, by KUBECONFIG or ~/.kube/config
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context in it, if not the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Folder of the raw data: creation.csv, events.csv, summary.json, tables.txt; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "bench-lisp-creation")]
    pub(super) out: PathBuf,
    /// Services that there are while one is created, that one among them
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 10, 100, 1000], value_parser = whole::<u16>(1..=10_000))]
    pub(super) services: Vec<u16>,
    /// Repetitions with each number of services
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = whole::<u16>(1..=u16::MAX))]
    pub(super) repetitions: u16,
    /// Addresses that the services are given, of the range that the API server gives addresses of Services from; without it,
    /// A.B.240.0/20 where the API server's own Service is at A.B.x.y
    #[arg(long, value_name = "PREFIX", conflicts_with = "agent_events")]
    pub(super) pool: Option<Ipv4Net>,
    /// Where the API server calls the agent's webhooks; without it, the address that this machine has towards the API server
    #[arg(long, value_name = "ADDR", conflicts_with = "agent_events")]
    pub(super) webhook: Option<IpAddr>,
    /// Port of the agent's webhooks
    #[arg(long, value_name = "PORT", default_value_t = 9443, conflicts_with = "agent_events", value_parser = whole::<u16>(1..=u16::MAX))]
    pub(super) webhook_port: u16,
    /// Folder of the manifests, whose webhook configurations are applied
    #[arg(long, value_name = "DIR", default_value = cluster::MANIFESTS, conflicts_with = "agent_events")]
    pub(super) manifests: PathBuf,
    /// File that grows by what the agent says that runs in the cluster (`xr-lisp agent --events`); none is started then
    #[arg(long, value_name = "FILE", requires = "control_events")]
    pub(super) agent_events: Option<PathBuf>,
    /// File that grows by what its control plane says (`xr-lisp control --events`)
    #[arg(long, value_name = "FILE", requires = "agent_events")]
    pub(super) control_events: Option<PathBuf>,
    /// The figures as one document of JSON, in the place of the table
    #[arg(long)]
    pub(super) json: bool,
}

impl CreationArgs {
    pub(super) fn access(&self) -> Access {
        Access {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        }
    }

    /// The agent's arguments by which it reaches the API server.
    pub(super) fn agent_access(&self) -> Vec<String> {
        let mut args = Vec::new();
        if let Some(path) = &self.kubeconfig {
            args.extend(["--kubeconfig".to_owned(), path.display().to_string()]);
            // The agent takes no context of a kubeconfig that it is not given.
            let context = self.context.iter();
            args.extend(context.flat_map(|one| ["--context".to_owned(), one.clone()]));
        }
        args
    }

    /// Looks for what no single value shows.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let (Some(context), None, None) = (&self.context, &self.kubeconfig, &self.agent_events) {
            return Err(ConfigError::new(
                "--context",
                context.clone(),
                "the agent that is started takes a context of a named kubeconfig only",
                "Name the file with --kubeconfig too.",
            ));
        }
        let needed = self.addresses();
        // The first and the last one are nobody's.
        let has = |pool: &Ipv4Net| (1_usize << (32 - pool.prefix_len())).saturating_sub(2);
        let Some(pool) = self.pool.filter(|pool| has(pool) < needed) else {
            return Ok(());
        };
        Err(ConfigError::new(
            "--pool",
            pool.to_string(),
            format!("{needed} addresses are given in the course of this"),
            "Give a shorter prefix, or fewer of --services and --repetitions.",
        ))
    }

    /// Addresses that are given in the course of the measurement: one that is given back is its service's for a while.
    pub(super) fn addresses(&self) -> usize {
        let most = self.services.iter().max().copied().unwrap_or_default();
        // One is tried before.
        1 + usize::from(most) + self.services.len() * usize::from(self.repetitions)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Program {
        #[command(flatten)]
        creation: CreationArgs,
    }

    fn parse(args: &[&str]) -> Result<CreationArgs, clap::Error> {
        let all = ["creation"].iter().chain(args);
        Program::try_parse_from(all).map(|program| program.creation)
    }

    #[test]
    fn a_pool_is_large_enough_or_refused() {
        let small = parse(&["--pool", "10.96.240.0/24"]).unwrap();
        assert_eq!(small.check().unwrap_err().value, "10.96.240.0/24");
        let few = ["--services", "1,10", "--repetitions", "5"];
        let few = parse(&[["--pool", "10.96.240.0/24"].as_slice(), &few].concat()).unwrap();
        assert_eq!((few.addresses(), few.check()), (21, Ok(())));
        assert_eq!(parse(&[]).unwrap().check(), Ok(()));
    }

    #[test]
    fn programs_are_started_or_found_and_never_half_of_both() {
        assert!(parse(&["--agent-events", "a"]).is_err());
        let found = ["--agent-events", "a", "--control-events", "c"];
        assert!(parse(&found).is_ok());
        assert!(parse(&[found.as_slice(), &["--pool", "10.96.240.0/24"]].concat()).is_err());
        let context = parse(&["--context", "lab"]).unwrap();
        assert_eq!(context.check().unwrap_err().origin, "--context");
        let both = parse(&["--context", "lab", "--kubeconfig", "k"]).unwrap();
        assert_eq!(
            both.agent_access(),
            ["--kubeconfig", "k", "--context", "lab"]
        );
    }
}
