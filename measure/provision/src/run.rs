//! The whole experiment: every cluster of the matrix, and the folder that grows with them.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::StreamExt as _;
use result::provision::{
    ClusterOutcome, ClusterRow, PROVISION_VERSION, ProvisionFolder, ProvisionInfo,
    SimulatedProvider, TransitionRow,
};
use result::{RunState, read_json, rows, write_json};
use service::Shutdown;
use tokio::time::MissedTickBehavior;

use crate::clean;
use crate::management::Management;
use crate::matrix::{Matrix, PlannedCluster};
use crate::one::{Provisioned, Provisioning};
use crate::preflight;
use crate::simulate::{Profile, Simulation};
use crate::template::Templates;

/// The least time between the starts of two clusters: what is applied for one does not stand in a queue behind the others.
const START_SPACING: Duration = Duration::from_millis(100);

/// How long what is left may take to go after Ctrl-C.
const CLEANING: Duration = Duration::from_mins(1);

/// What an experiment is run with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The folder of the result.
    pub out: PathBuf,
    /// Whether the folder is one of an earlier experiment, to be gone on with.
    pub resume: bool,
    /// The simulated provider's profile.
    pub simulate: Option<Profile>,
}

/// An experiment that was stopped by Ctrl-C or SIGTERM.
#[derive(Debug, thiserror::Error)]
#[error("stopped; what was measured stands, and --resume goes on with it")]
pub struct Stopped;

/// What was measured so far.
struct Record {
    folder: ProvisionFolder,
    info: ProvisionInfo,
    clusters: Vec<ClusterRow>,
    transitions: Vec<TransitionRow>,
}

impl Record {
    /// Makes the folder, or reads it where `options` say so.
    fn open(matrix: &Matrix, management: &Management, options: &Options) -> anyhow::Result<Self> {
        let folder = ProvisionFolder::new(&options.out);
        let simulated = options.simulate.as_ref().map(|profile| SimulatedProvider {
            profile: profile.text.clone(),
            time_scale: profile.time_scale,
        });
        if !options.resume {
            std::fs::create_dir_all(options.out.parent().unwrap_or(&options.out))
                .and_then(|()| std::fs::create_dir(&options.out))
                .with_context(|| {
                    let out = options.out.display();
                    format!("cannot make the folder {out}; name one that does not exist with --out, or go on with it by --resume {out}")
                })?;
            let started_us = service::clock::now();
            let info = ProvisionInfo {
                schema_version: PROVISION_VERSION,
                name: matrix.name.clone(),
                id: format!("p{}", base36(started_us.0 / 1_000_000 % 36_u64.pow(5))),
                started_us,
                seed: matrix.seed,
                repetitions: matrix.repetitions,
                cells: matrix.cells(),
                server_version: management.version().to_owned(),
                parallel: options
                    .simulate
                    .as_ref()
                    .map_or(matrix.parallel, |profile| profile.parallel),
                simulated,
                matrix: matrix.text.clone(),
                machine: result::Machine::here(),
                ..ProvisionInfo::default()
            };
            let record = Self {
                folder,
                info,
                clusters: Vec::new(),
                transitions: Vec::new(),
            };
            record.write()?;
            return Ok(record);
        }
        let info: ProvisionInfo = read_json(&folder.info_json())?;
        ensure!(
            info.matrix == matrix.text && info.simulated == simulated,
            "{} was begun with another matrix or profile; its rows cannot be mixed with these: begin anew with --out",
            options.out.display()
        );
        let clusters: Vec<ClusterRow> =
            rows::read(&folder.clusters_csv())?.unwrap_or_default().rows;
        let done: HashSet<_> = clusters.iter().map(|one| one.cluster.clone()).collect();
        let mut transitions: Vec<TransitionRow> = rows::read(&folder.transitions_csv())?
            .unwrap_or_default()
            .rows;
        // Transitions are written before their cluster: those of one that is not there will come again.
        transitions.retain(|one| done.contains(&one.cluster));
        Ok(Self {
            folder,
            info,
            clusters,
            transitions,
        })
    }

    fn write(&self) -> anyhow::Result<()> {
        rows::write(&self.folder.transitions_csv(), &self.transitions)?;
        rows::write(&self.folder.clusters_csv(), &self.clusters)?;
        write_json(&self.folder.info_json(), &self.info)
    }

    fn add(&mut self, of: Provisioned, scale: f64) -> anyhow::Result<()> {
        let scaled = |us: u64| scale_us(us, scale);
        let mut cluster = of.cluster;
        cluster.deletion_us = cluster.deletion_us.map(scaled);
        self.clusters.push(cluster);
        let transitions = of.transitions.into_iter().map(|one| TransitionRow {
            elapsed_us: scaled(one.elapsed_us),
            // The provider's stamps are real times, which say nothing of simulated ones.
            reported_us: one.reported_us.filter(|_| self.info.simulated.is_none()),
            ..one
        });
        self.transitions.extend(transitions);
        rows::write(&self.folder.transitions_csv(), &self.transitions)?;
        rows::write(&self.folder.clusters_csv(), &self.clusters)
    }
}

/// Runs the experiment to its end; the folder has what was measured in any case.
pub(crate) async fn run(
    matrix: &Matrix,
    templates: &Templates,
    management: &Management,
    options: &Options,
    shutdown: Shutdown,
) -> anyhow::Result<ProvisionFolder> {
    check(matrix, templates, management, options).await?;
    let mut record = Record::open(matrix, management, options)?;
    let id = record.info.id.clone();
    if options.resume {
        let deleted = clean::delete(management, Some(&id)).await?;
        if !deleted.is_empty() {
            tracing::info!(?deleted, "deleted what the earlier start left");
        }
    }
    let mut simulation = match &options.simulate {
        Some(profile) => Some(Simulation::start(profile, matrix, management, &id).await?),
        None => None,
    };
    let ended = tokio::select! {
        ended = provision_all(matrix, templates, management, &mut record, options) => ended,
        error = failure(simulation.as_mut()) => Err(error),
        () = shutdown.fired() => Err(Stopped.into()),
    };
    record.info.state = match &ended {
        Ok(()) => RunState::Finished,
        Err(error) if error.is::<Stopped>() => RunState::Interrupted,
        Err(_) => RunState::Failed,
    };
    record.write()?;
    if ended.is_err() {
        let cleaned = tokio::time::timeout(CLEANING, clean::delete(management, Some(&id))).await;
        if !matches!(cleaned, Ok(Ok(_))) {
            tracing::warn!("not everything is gone yet; `xrbench provision --clean` tries again");
        }
    }
    drop(simulation);
    ended.map(|()| record.folder)
}

/// Waits until a simulated provider fails; for ever where there is none.
async fn failure(simulation: Option<&mut Simulation>) -> anyhow::Error {
    match simulation {
        Some(simulation) => simulation.failure().await,
        None => std::future::pending().await,
    }
}

/// Every fault that is known before anything is applied, at once.
async fn check(
    matrix: &Matrix,
    templates: &Templates,
    management: &Management,
    options: &Options,
) -> anyhow::Result<()> {
    let mut one_of_each = Vec::new();
    for distribution in &matrix.distributions {
        let first = matrix
            .order()
            .into_iter()
            .find(|one| one.cell.distribution == distribution.name);
        if let Some(planned) = first {
            one_of_each.push(templates.render(matrix, "p", &planned)?);
        }
    }
    if let Some(profile) = &options.simulate {
        profile.check(&matrix.cells())?;
    }
    let faults = preflight::faults(management, &one_of_each, options.simulate.is_some()).await;
    ensure!(
        faults.is_empty(),
        "the management cluster is not ready for this:\n  {}",
        faults.join("\n  ")
    );
    Ok(())
}

async fn provision_all(
    matrix: &Matrix,
    templates: &Templates,
    management: &Management,
    record: &mut Record,
    options: &Options,
) -> anyhow::Result<()> {
    let id = record.info.id.clone();
    let scale = options
        .simulate
        .as_ref()
        .map_or(1.0, |profile| profile.time_scale);
    let limit = matrix.timeout.0.div_f64(scale);
    let done: HashSet<_> = record
        .clusters
        .iter()
        .map(|one| one.cluster.clone())
        .collect();
    let order = matrix.order();
    let planned: Vec<PlannedCluster> = order
        .into_iter()
        .filter(|one| !done.contains(&matrix.cluster_name(&id, one)))
        .collect();
    let progress = Progress::new(done.len() + planned.len(), done.len());
    let parallel = record.info.parallel;
    let mut starts = tokio::time::interval(START_SPACING);
    starts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let starts = futures::stream::poll_fn(move |context| starts.poll_tick(context).map(Some));
    let mut all = futures::stream::iter(&planned)
        .zip(starts)
        .map(|(planned, _)| provision_one(matrix, templates, management, &id, planned, limit))
        .buffer_unordered(parallel);
    while let Some(one) = all.next().await {
        let one = one?;
        progress.tell(&one, scale);
        record.add(one, scale)?;
    }
    Ok(())
}

async fn provision_one(
    matrix: &Matrix,
    templates: &Templates,
    management: &Management,
    id: &str,
    planned: &PlannedCluster,
    limit: Duration,
) -> anyhow::Result<Provisioned> {
    let began = Instant::now();
    let manifests = templates.render(matrix, id, planned)?;
    let provisioning = Provisioning {
        management,
        planned,
        name: matrix.cluster_name(id, planned),
        limit,
        generation: began.elapsed(),
    };
    let name = &provisioning.name;
    provisioning
        .run(&manifests)
        .await
        .with_context(|| format!("while {name} was provisioned"))
}

/// The bar on a terminal, and lines elsewhere.
struct Progress(indicatif::ProgressBar);

impl Progress {
    fn new(all: usize, done: usize) -> Self {
        let bar = indicatif::ProgressBar::new(all as u64);
        let style = indicatif::ProgressStyle::with_template(
            "{elapsed} {bar:30} {pos}/{len} clusters, {eta} left {msg}",
        );
        bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
        bar.set_position(done as u64);
        Self(bar)
    }

    fn tell(&self, one: &Provisioned, scale: f64) {
        let cluster = &one.cluster;
        let last = one
            .transitions
            .iter()
            .map(|step| scale_us(step.elapsed_us, scale))
            .max()
            .unwrap_or(0);
        let text = match cluster.outcome {
            ClusterOutcome::Ready => format!(
                "{}: ready after {:.1} s",
                cluster.cluster,
                last as f64 / 1e6
            ),
            outcome => format!("{}: {outcome}: {}", cluster.cluster, cluster.detail),
        };
        self.0.inc(1);
        if self.0.is_hidden() {
            tracing::info!("{text}");
        } else {
            self.0.println(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A real time as a simulated one.
fn scale_us(us: u64, scale: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "far below 2^53 microseconds, and positive"
    )]
    let scaled = (us as f64 * scale).round() as u64;
    scaled
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    for _ in 0..5 {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap_or(0), 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}
