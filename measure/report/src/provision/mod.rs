//! What a provisioning experiment says: its table on the terminal, and a page with the paper's Figure 4 beside it.

mod figures;
mod page;
mod tables;

#[cfg(test)]
mod tests;

use std::io::Write;

use anyhow::Context as _;
use result::provision::{ClusterRow, ProvisionFolder, ProvisionInfo, TransitionRow};
use result::{RunState, read_json, rows, write_atomic};

use crate::terminal::table;
use figures::{CellFigures, cells, simulated};

/// Reads the experiment in `folder`, writes its page, and prints its tables.
pub fn show(folder: &ProvisionFolder, out: &mut impl Write) -> anyhow::Result<()> {
    let info: ProvisionInfo = read_json(&folder.info_json())?;
    let clusters = rows::read::<ClusterRow>(&folder.clusters_csv())?
        .unwrap_or_default()
        .rows;
    let transitions = rows::read::<TransitionRow>(&folder.transitions_csv())?
        .unwrap_or_default()
        .rows;
    let of = cells(&info, &clusters, &transitions);
    let page = page::render(&info, &of).context("cannot draw provision.html")?;
    write_atomic(&folder.page_html(), page.as_bytes())?;
    write!(out, "{}", terminal(&info, &of, None))?;
    writeln!(out, "\npage: {}", folder.page_html().display())?;
    let ready: usize = of.iter().map(|cell| cell.ready).sum();
    let wanted = info.cells.len() * info.repetitions as usize;
    anyhow::ensure!(
        ready == wanted,
        "{ready} of {wanted} clusters became ready; clusters.csv says why the others did not"
    );
    Ok(())
}

fn terminal(info: &ProvisionInfo, of: &[CellFigures], width: Option<u16>) -> String {
    let state = match info.state {
        RunState::Finished => "",
        RunState::Running => " (not finished)",
        RunState::Failed => " (failed: a part of the clusters is missing)",
        RunState::Interrupted => " (interrupted)",
    };
    let mut text = format!(
        "{}{state}, management cluster {}\n\n",
        info.name, info.server_version
    );
    if let Some(sentence) = simulated(info) {
        text += &format!("{sentence}.\n\n");
    }
    text += &table(&tables::provisioning(info, of), width);
    text += &table(&tables::steps(info, of), width);
    text += &table(&tables::failures(of), width);
    text
}
