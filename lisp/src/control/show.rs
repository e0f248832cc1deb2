//! `xr-lisp show`: what a control plane has, for people.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use comfy_table::{Table, presets};
use service::args::{Common, listen_address};
use service::http::Problem;

use super::view::View;

/// How long the control plane may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a control plane has: clusters, services, mappings with their subscribers, and counts of events.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// Ops port of the control plane
    #[arg(long, env = "XR_LISP_CONTROL_OPS", value_name = "ADDR:PORT", default_value = "127.0.0.1:9097", value_parser = listen_address)]
    from: SocketAddr,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,

    /// Arguments of every program.
    #[command(flatten)]
    pub common: Common,
}

/// Asks a control plane for its state, and prints that.
pub async fn show(args: ShowArgs) -> anyhow::Result<()> {
    let url = format!("http://{}/lisp", args.from);
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let asked = client.get(&url).send().await;
    let answer = asked.with_context(|| {
        format!(
            "no control plane answers at {url}: --from (XR_LISP_CONTROL_OPS) names its ops port"
        )
    })?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        bail!("{url} answered {status}: {}", Problem::told(&body));
    }
    let view: View = serde_json::from_slice(&body)
        .with_context(|| format!("{url} is no control plane of this version"))?;
    let text = if args.json {
        serde_json::to_string_pretty(&view)? + "\n"
    } else {
        tables(&view)
    };
    // Whoever closed our stdout does not want it.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(())
}

fn tables(view: &View) -> String {
    let table = |header: &[&str], rows: Vec<Vec<String>>| {
        let mut table = Table::new();
        table
            .load_style(presets::NOTHING)
            .set_header(header)
            .add_rows(rows);
        format!("{}\n", table.trim_fmt())
    };
    let clusters = view.clusters.iter().map(|one| {
        let state = match one.is_there {
            Some(true) => "there",
            Some(false) => "lost",
            None => "no agent",
        };
        vec![
            one.name.clone(),
            one.site_id.to_string(),
            state.to_owned(),
            one.agent.clone().unwrap_or_default(),
        ]
    });
    let services = view.services.iter().map(|one| {
        vec![
            one.name.clone(),
            one.address.to_string(),
            one.clusters.join(" "),
        ]
    });
    let mappings = view.mappings.iter().map(|one| {
        let locators = one
            .locators
            .iter()
            .map(|(address, priority, weight)| format!("{address} {priority}/{weight}"));
        vec![
            one.eid.to_string(),
            locators.collect::<Vec<_>>().join(", "),
            one.registrations.len().to_string(),
            one.subscribers.to_string(),
        ]
    });
    let events = view
        .events
        .iter()
        .map(|(name, count)| vec![name.clone(), count.to_string()]);
    [
        table(&["CLUSTER", "SITE", "STATE", "AGENT"], clusters.collect()),
        table(&["SERVICE", "ADDRESS", "CLUSTERS"], services.collect()),
        table(
            &["EID", "LOCATORS (PRIORITY/WEIGHT)", "XTRS", "SUBSCRIBERS"],
            mappings.collect(),
        ),
        table(&["EVENT", "COUNT"], events.collect()),
    ]
    .join("\n")
}
