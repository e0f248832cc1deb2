//! `--place kube --dry-run`: everything that would be applied, as YAML that kubectl takes.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use cluster::Objects;
use serde_json::Value;
use settings::Role;

use super::args::KubeArgs;
use super::certificate::mounted;
use super::plan::KubePlan;
use super::pods::arguments_of;
use super::target::{KubeTarget, adapted};
use crate::run::addresses::IdentityFiles;
use crate::run::commands::{self, Programs, ReferenceFiles};
use crate::scenario::{File, Scenario};
use result::RepetitionFolder;

/// What would be applied for each scenario of a file. No cluster is asked: where an address of cluster B is not given, one
/// stands there that no network has.
pub async fn text(file: &File, args: &KubeArgs) -> anyhow::Result<String> {
    let (file, _) = adapted(file);
    let target = Arc::new(KubeTarget::unreached(args));
    let mut text = String::new();
    for scenario in &file.scenario {
        let plan = KubePlan::new(scenario, &target)?;
        let prepared = plan.prepare().await?;
        if let Some(offloading) = &prepared.offloading {
            write!(
                text,
                "---\n# {}, cluster a, first\n{}",
                scenario.name,
                offloading.yaml()
            )?;
        }
        for (cluster, objects) in &prepared.objects {
            let mut all = objects.clone();
            for (role, (of, workloads)) in &prepared.workloads {
                if of == cluster {
                    let args = arguments(*role, scenario, &plan, &prepared.addresses)?;
                    put(&mut all, workloads, &args);
                }
            }
            write!(
                text,
                "---\n# {}, cluster {cluster}\n{}",
                scenario.name,
                all.yaml()
            )?;
        }
    }
    Ok(text)
}

fn put(objects: &mut Objects, workloads: &[Value], args: &[String]) {
    for workload in workloads {
        let name = workload["metadata"]["name"].as_str().unwrap_or_default();
        let args = arguments_of(name, args);
        objects.put_started(workload.clone(), &args);
    }
}

/// The arguments of a role: those that a process of it would have.
fn arguments(
    role: Role,
    scenario: &Scenario,
    plan: &KubePlan,
    addresses: &crate::run::addresses::Addresses,
) -> anyhow::Result<Vec<String>> {
    let mut listen = KubePlan::listen();
    listen.identity = plan
        .transport
        .is_quic()
        .then(|| mounted(IdentityFiles::unknown().pin));
    let programs = Programs {
        renderer: PathBuf::new(),
        streamer: PathBuf::new(),
        client: PathBuf::new(),
    };
    let nowhere = RepetitionFolder::new("");
    if scenario.pipeline.is_reference() && role != Role::Streamer {
        let files = KubePlan::reference_files(&ReferenceFiles::of(&nowhere));
        let (render, play) = commands::reference(scenario, addresses, plan.transport, &files)?;
        let line = if role == Role::Renderer { render } else { play };
        return Ok(line.into_iter().skip(1).collect());
    }
    Ok(match role {
        Role::Renderer => commands::renderer(scenario, addresses, &listen),
        Role::Streamer => {
            let mut words = commands::between(scenario, &programs, &listen).into_iter();
            words.next();
            words.collect()
        }
        Role::Client => commands::client(scenario, addresses, &listen, plan.transport, &nowhere),
    })
}
