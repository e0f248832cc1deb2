//! `xrbench clean`: what runs on clusters have left is deleted, however they ended.

use std::io::Write as _;

use anyhow::Context as _;
use cluster::{Cluster, Faults};
use settings::ClusterName;

use super::args::ClusterArgs;

/// Delete what runs on Kubernetes have left
///
/// Only namespaces with the label xrbench.io/run are touched, and nodes with the annotation xrbench.io/cordoned-by, which take pods
/// again. A run that is still going on has them too: name those that are over with --run.
#[derive(Clone, Debug, clap::Args)]
pub struct CleanArgs {
    /// Only what this run has left; may be given several times [default: what every run has]
    #[arg(long, env = "XR_RUN", value_name = "ID", value_delimiter = ',')]
    pub run: Vec<String>,
    /// Print what would be deleted, and delete nothing
    #[arg(long, env = "XR_DRY_RUN")]
    pub dry_run: bool,
    /// Where the clusters are.
    #[command(flatten)]
    pub clusters: ClusterArgs,
}

/// Deletes, and waits until it is gone.
pub async fn run(args: CleanArgs) -> anyhow::Result<()> {
    let mut faults = Vec::new();
    let mut found = 0;
    for name in [ClusterName::A, ClusterName::B] {
        let Some(access) = args.clusters.access(name) else {
            continue;
        };
        let cleaned = async {
            let cluster = Cluster::connect(name, &access).await?;
            clean(&cluster, &args).await
        };
        match cleaned.await {
            Ok(count) => found += count,
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    if found == 0 {
        say("nothing is left")?;
    }
    Ok(())
}

async fn clean(cluster: &Cluster, args: &CleanArgs) -> Result<usize, cluster::Fault> {
    let chosen = |run: &String| args.run.is_empty() || args.run.contains(run);
    let mut nodes = cluster.cordoned(None).await?;
    nodes.retain(|one| chosen(&one.run));
    for one in &nodes {
        let what = if args.dry_run {
            "would uncordon"
        } else {
            "uncordons"
        };
        let (name, node) = (cluster.name(), &one.node);
        let _ = say(&format!(
            "cluster {name}: {what} node {node} of run {}",
            one.run
        ));
        if !args.dry_run {
            cluster.uncordon(one).await?;
        }
    }
    let mut left = cluster.leftovers(None).await?;
    left.retain(|one| chosen(&one.run));
    for one in &left {
        let what = if args.dry_run {
            "would delete"
        } else {
            "deletes"
        };
        let (name, namespace) = (cluster.name(), &one.namespace);
        // Whoever closed the output wants it done all the same.
        let _ = say(&format!(
            "cluster {name}: {what} namespace {namespace} of run {}",
            one.run
        ));
        if !args.dry_run {
            cluster.remove(one).await?;
        }
    }
    if !args.dry_run {
        for one in &left {
            cluster.gone(&one.namespace, super::limits::GONE).await?;
        }
    }
    Ok(nodes.len() + left.len())
}

fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("cannot write to stdout")
}
