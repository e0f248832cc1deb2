//! The command line of `xrbench provision`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use cluster::Access;
use service::{ConfigError, Shutdown};

use crate::clean;
use crate::management::Management;
use crate::matrix::Matrix;
use crate::run::{self, Options};
use crate::simulate::Profile;
use crate::template::Templates;

pub use crate::run::Stopped;

const EXAMPLES: &str = "\
Examples:
  Measure:
    xrbench provision k8s/capi/figure-4.toml --context management
  See whether the management cluster takes what would be applied:
    xrbench provision k8s/capi/figure-4.toml --dry-run | kubectl apply --dry-run=server -f -
  Where no provider runs:
    xrbench provision k8s/capi/figure-4.toml --simulate k8s/capi/profile.toml
  Go on with one that was stopped:
    xrbench provision k8s/capi/figure-4.toml --resume results/figure-4-...
  Delete what earlier ones left:
    xrbench provision k8s/capi/figure-4.toml --clean

Prints the table, and writes provision.json, clusters.csv, transitions.csv and provision.html; `xrbench report` shows them again.
Exit codes: 0 done, 1 the cluster is not ready for it or something failed, 64 the command line or a file is wrong, 130 Ctrl-C.";

/// Measure how long Cluster API takes to bring up clusters
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProvisionArgs {
    /// The matrix file, in TOML: distributions, nodes, flavours, repetitions
    #[arg(value_name = "MATRIX.toml")]
    matrix: PathBuf,
    /// The folder of the result, which must not exist [default: results/NAME-TIME]
    #[arg(long, env = "XR_OUT", value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with an earlier experiment in its folder
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// The kubeconfig of the management cluster [default: KUBECONFIG, or ~/.kube/config]
    #[arg(long, env = "XR_KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig [default: its current one]
    #[arg(long, env = "XR_CONTEXT", value_name = "NAME")]
    context: Option<String>,
    /// Play the provider, with times drawn from this profile: for trying out. Every result says that it was simulated
    #[arg(long, value_name = "PROFILE.toml")]
    simulate: Option<PathBuf>,
    /// Print the manifests of one cluster of each kind, and apply nothing
    #[arg(long, conflicts_with_all = ["clean", "resume"])]
    dry_run: bool,
    /// Delete every object that an experiment left in the namespace, and measure nothing
    #[arg(long, conflicts_with = "resume")]
    clean: bool,
}

impl ProvisionArgs {
    /// Runs the experiment, and prints what it says.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let matrix = Matrix::load(&self.matrix)?;
        let templates = Templates::load(&matrix)?;
        if self.dry_run {
            return print(&matrix, &templates);
        }
        let simulate = self.simulate.as_deref().map(Profile::load).transpose()?;
        let access = Access {
            kubeconfig: self.kubeconfig,
            context: self.context,
        };
        let management = Management::connect(&access, &matrix.namespace).await?;
        if self.clean {
            let deleted = clean::delete(&management, None).await?;
            let text = match deleted
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect::<Vec<_>>()
            {
                none if none.is_empty() => format!("nothing was left in {}", matrix.namespace),
                some => format!("deleted from {}: {}", matrix.namespace, some.join(", ")),
            };
            writeln!(std::io::stdout(), "{text}")?;
            return Ok(());
        }
        let resume = self.resume.is_some();
        let out = self.resume.or(self.out).unwrap_or_else(|| {
            let time = result::date::compact(service::clock::now());
            PathBuf::from(format!("results/{}-{time}", matrix.name))
        });
        let options = Options {
            out,
            resume,
            simulate,
        };
        let folder = run::run(&matrix, &templates, &management, &options, shutdown).await?;
        report::provision::show(&folder, &mut std::io::stdout().lock())
    }
}

/// Prints the manifests of one cluster of each cell.
fn print(matrix: &Matrix, templates: &Templates) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for planned in matrix.order().iter().take(matrix.cells().len()) {
        let manifests = templates.render(matrix, "dry-run", planned)?;
        let text = serde_saphyr::to_string_multiple(&manifests.0).map_err(|error| {
            ConfigError::new(
                "the template",
                "",
                error.to_string(),
                "It cannot be printed as YAML.",
            )
        })?;
        writeln!(out, "---\n# {}\n{text}", planned.cell)?;
    }
    Ok(())
}
