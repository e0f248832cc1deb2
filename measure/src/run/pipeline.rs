//! The three processes of our pipeline in a repetition: started, killed on purpose, ended.

use testbed::{Process, Ready, Spec};

use super::commands::{self, Binds, Places};
use super::ground::Ground;
use super::repetition::{READY, Repetition, Stopped, address};
use crate::collect::Collector;
use crate::collect::scrape::{Scraper, Target};

/// What runs, as far as it has been started.
#[derive(Default)]
pub(super) struct Pipeline {
    streamer: Option<Process>,
    renderer: Option<Process>,
    client: Option<Process>,
    scrapers: Vec<Scraper>,
}

impl Pipeline {
    /// Everything that runs.
    pub(super) fn processes(&self) -> Vec<&Process> {
        [&self.streamer, &self.renderer, &self.client]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Starts the streamer, then who feeds it, then who plays.
    pub(super) async fn start(
        &mut self,
        repetition: &mut Repetition<'_>,
        collector: &Collector,
        ground: &Ground,
    ) -> Result<(), Stopped> {
        let scenario = repetition.scenario;
        let programs = repetition.bench.programs;
        let binds: Binds = ground.binds();

        let args = commands::streamer(scenario, &binds);
        let spec = repetition.spec("streamer", &programs.streamer).args(args);
        self.streamer = Some(start(repetition, ground, spec)?);
        let said = self.ready(repetition, collector, "streamer").await?;
        let places: Places = ground.places(&said, collector.address())?;

        let args = commands::renderer(scenario, &places, &binds);
        let spec = repetition.spec("renderer", &programs.renderer).args(args);
        self.renderer = Some(start(repetition, ground, spec)?);
        self.ready(repetition, collector, "renderer").await?;

        let transport = ground.transport(scenario.transport);
        let args = commands::client(scenario, &places, &binds, transport, &repetition.folder);
        let spec = repetition.spec("client", &programs.client).args(args);
        let client = start(repetition, ground, spec)?;
        repetition.meta.client_started_us = Some(client.started_at());
        self.client = Some(client);
        Ok(())
    }

    /// Waits until a service is ready, and begins to pull its trace.
    async fn ready(
        &mut self,
        repetition: &Repetition<'_>,
        collector: &Collector,
        role: &str,
    ) -> Result<Ready, Stopped> {
        let process = self.slot(role).as_ref();
        let process = process.ok_or_else(|| anyhow::anyhow!("{role} was not started"))?;
        let others: Vec<&Process> = Vec::new();
        let said = repetition
            .until(process.ready(READY), &others)
            .await?
            .map_err(anyhow::Error::from)?;
        let target = Target {
            name: role.to_owned(),
            ops: address(&said, "ops", role)?,
            // One host has one clock: there is nothing to ask.
            ask_clock: false,
        };
        self.scrapers.push(collector.scrape(target)?);
        Ok(said)
    }

    fn slot(&mut self, role: &str) -> &mut Option<Process> {
        match role {
            "streamer" => &mut self.streamer,
            "renderer" => &mut self.renderer,
            _ => &mut self.client,
        }
    }

    /// Kills a process by SIGKILL and starts it again with the same command line.
    pub(super) async fn kill(
        &mut self,
        repetition: &mut Repetition<'_>,
        role: &str,
    ) -> Result<(), Stopped> {
        let Some(process) = self.slot(role).take() else {
            return Ok(());
        };
        let exit = process.kill().await;
        repetition.ended(&process, exit);
        let again = process.restart().await.map_err(anyhow::Error::from)?;
        repetition.started(&again)?;
        *self.slot(role) = Some(again);
        Ok(())
    }

    /// The client first, so that it reports all that it has; then what the services saw; then the services.
    pub(super) async fn end(self, repetition: &mut Repetition<'_>) {
        if let Some(client) = &self.client {
            repetition.terminate(client).await;
        }
        for scraper in self.scrapers {
            if let Err(error) = scraper.catch_up().await {
                repetition
                    .events
                    .now("trace lost", "xrbench", &format!("{error:#}"));
            }
            repetition.meta.trace_overwritten += scraper.overwritten().await;
            scraper.stop().await;
        }
        for process in [&self.renderer, &self.streamer].into_iter().flatten() {
            repetition.terminate(process).await;
        }
    }
}

/// Starts a process where the ground has it.
fn start(
    repetition: &mut Repetition<'_>,
    ground: &Ground,
    mut spec: Spec,
) -> Result<Process, Stopped> {
    let place = ground.placement(&spec.role)?;
    spec.group = ground.group(&spec.role);
    Ok(repetition.start_at(spec, place)?)
}
