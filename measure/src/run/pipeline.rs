//! The three processes of our pipeline in a repetition: started, killed on purpose, ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use testbed::{Process, Ready, Spec};
use tokio::net::TcpStream;

use super::commands::{self, Binds, Places};
use super::ground::Ground;
use super::repetition::{READY, Repetition, Stopped, address};
use crate::collect::Collector;
use crate::collect::scrape::{Scraper, Target};

/// How often a door is tried that is still closed.
const LOOK: Duration = Duration::from_millis(50);

/// What runs, as far as it has been started.
#[derive(Default)]
pub(super) struct Pipeline {
    streamer: Option<Process>,
    renderer: Option<Process>,
    client: Option<Process>,
    /// By role.
    scrapers: BTreeMap<String, Scraper>,
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
        let (binds, places) = if scenario.server.is_some() {
            self.start_another(repetition, collector, ground).await?
        } else {
            let binds = ground.binds();
            let args = commands::streamer(scenario, &binds);
            let spec = repetition.spec("streamer", &programs.streamer).args(args);
            self.streamer = Some(start(repetition, ground, spec)?);
            let said = self.ready(repetition, collector, "streamer").await?;
            let places = ground.places(&said, collector.address())?;
            (binds, places)
        };

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

    /// Starts another server in the streamer's place. It says nothing that we understand: it is ready once its RTSP takes
    /// connections, and it has no trace.
    async fn start_another(
        &mut self,
        repetition: &mut Repetition<'_>,
        collector: &Collector,
        ground: &Ground,
    ) -> Result<(Binds, Places), Stopped> {
        let binds = ground.binds_of_another()?;
        let line = commands::between(repetition.scenario, repetition.bench.programs, &binds);
        let mut words = line.into_iter();
        let program = words.next().unwrap_or_default();
        let spec = repetition
            .spec("streamer", Path::new(&program))
            .args(words)
            .log_stdout();
        let server = self.streamer.insert(start(repetition, ground, spec)?);
        let door = ground.door_of_another(&binds)?;
        let open = tokio::time::timeout(READY, takes_connections(door));
        if repetition.until(open, &[server]).await?.is_err() {
            return Err(Stopped::Failed(anyhow::anyhow!(
                "the server of scenario {} takes no connection at {door} after {} s; does its command make it listen at \
                 {{rtsp}}? The end of its log, {}:\n{}",
                repetition.scenario.name,
                READY.as_secs(),
                server.spec().log.display(),
                server.log_tail()
            )));
        }
        let places = ground.places_of_another(&binds, collector.address());
        Ok((binds, places))
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
        self.scrapers
            .insert(role.to_owned(), collector.scrape(target)?);
        Ok(said)
    }

    fn slot(&mut self, role: &str) -> &mut Option<Process> {
        match role {
            "streamer" => &mut self.streamer,
            "renderer" => &mut self.renderer,
            _ => &mut self.client,
        }
    }

    /// Kills a process by SIGKILL and starts it again where it was, with the same command line and the same addresses.
    pub(super) async fn kill(
        &mut self,
        repetition: &mut Repetition<'_>,
        role: &str,
    ) -> Result<(), Stopped> {
        let Some(process) = self.slot(role).take() else {
            return Ok(());
        };
        // Its ring goes with it. The new one's is told from it by its boot, and is pulled from the beginning.
        if let Some(scraper) = self.scrapers.get(role) {
            catch_up(repetition, scraper).await;
        }
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
        for scraper in self.scrapers.into_values() {
            catch_up(repetition, &scraper).await;
            repetition.meta.trace_overwritten += scraper.overwritten().await;
            scraper.stop().await;
        }
        for process in [&self.renderer, &self.streamer].into_iter().flatten() {
            repetition.terminate(process).await;
        }
    }
}

/// Pulls what a service's ring holds, before the service ends.
async fn catch_up(repetition: &Repetition<'_>, scraper: &Scraper) {
    if let Err(error) = scraper.catch_up().await {
        let why = format!("{error:#}");
        repetition.events.now("trace lost", "xrbench", &why);
    }
}

/// Returns once somebody listens there.
async fn takes_connections(door: SocketAddr) {
    while TcpStream::connect(door).await.is_err() {
        tokio::time::sleep(LOOK).await;
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
