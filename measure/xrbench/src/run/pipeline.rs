//! The place of a repetition and its programs by role: started, killed on purpose, ended, whichever pipeline they are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use service::Secret;
use settings::{Role, Transport};
use tempfile::TempDir;
use testbed::{Ready, Spec};
use tokio::net::TcpStream;

use super::addresses::{Addresses, FEED, IdentityFiles, ListenAddresses, announced};
use super::behind::{self, Behind, Counting};
use super::faults::Action;
use super::place::{Fault, HttpPort, Node, Place, PlacePlan, READY, Setup, Workload};
use super::repetition::{Repetition, Stopped};
use super::{clocks, commands, unread};
use collect::Collector;
use collect::scrape::{Scraper, Target};

/// How often a port is tried that is still closed.
const LOOK: Duration = Duration::from_millis(50);

/// Where a program serves its metrics.
const METRICS: &str = "/metrics";

/// A node that is drained, and the programs that had to leave it.
#[derive(Debug)]
struct Drained {
    node: Node,
    away: Vec<(Role, Workload)>,
}

/// A place that is up, and the programs that run on it.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) place: Place,
    /// Where each program listens.
    pub(super) listen: ListenAddresses,
    pub(super) transport: Transport,
    /// The files of the streamer's certificate, while anybody needs them.
    _secrets: Option<TempDir>,
    running: BTreeMap<Role, Workload>,
    scrapers: BTreeMap<Role, Scraper>,
    /// Nodes that are drained, by the role under which.
    drained: BTreeMap<Role, Drained>,
    /// Programs that were told to end: a pod logs on until it is gone.
    ended: Vec<Workload>,
    /// What clients have counted of frames for which they were too slow, up to where it was taken; none before measuring.
    behind: Option<Behind>,
}

impl Pipeline {
    /// Brings up the place that the scenario asks for; nothing runs on it yet.
    pub(super) async fn up(repetition: &mut Repetition<'_>) -> Result<Self, Stopped> {
        let (context, scenario) = (repetition.context, repetition.scenario);
        let seed = u64::from(repetition.meta.run).wrapping_add(context.seed);
        let mut plan = PlacePlan::new(scenario, &context.means, seed)?;
        plan.meta().record(&mut repetition.meta);
        let mut listen = plan.listen(scenario.server.is_none())?;
        let transport = plan.transport(scenario.transport);
        let mut secrets = None;
        if transport.is_quic() || scenario.feed.is_quic() {
            let folder = tempfile::tempdir().context("a folder for the streamer's certificate")?;
            let token = Secret::random().context("a token for feeds")?;
            let made = IdentityFiles::make(folder.path(), &token)?;
            listen.identity = Some(plan.hold(made)?);
            secrets = Some(folder);
        }
        if let Some(building) = plan.building() {
            context.progress.step(building);
        }
        let setup = Setup {
            testbed: repetition.testbed(),
            folder: &repetition.folder,
            events: &repetition.events,
            rows: repetition.rows(),
            limits: scenario.limits,
            pcap: context.pcap,
        };
        let interruptible = plan.is_interruptible();
        let up = Place::up(plan, &setup);
        let place = if interruptible {
            repetition.until(up, &[]).await??
        } else {
            up.await?
        };
        repetition.watch(&place.watched());
        Ok(Self {
            place,
            listen,
            transport,
            _secrets: secrets,
            running: BTreeMap::new(),
            scrapers: BTreeMap::new(),
            drained: BTreeMap::new(),
            ended: Vec::new(),
            behind: None,
        })
    }

    /// Every program that runs.
    pub(super) fn running(&self) -> Vec<&Workload> {
        self.running.values().collect()
    }

    /// Starts a program in a role.
    pub(super) async fn start(
        &mut self,
        repetition: &mut Repetition<'_>,
        role: Role,
        spec: Spec,
    ) -> Result<&Workload, Stopped> {
        let workload = self.place.start(role, spec).await?;
        if role == Role::Client {
            repetition.meta.client_started_us = Some(workload.started_at());
        }
        repetition.started(&workload)?;
        if role == Role::Streamer {
            // One that stands by was started with it.
            repetition.watch(&self.place.watched());
        }
        Ok(self.running.entry(role).insert_entry(workload).into_mut())
    }

    /// Starts the server between renderer and client, ours or the scenario's, and waits until it serves.
    pub(super) async fn start_server(
        &mut self,
        repetition: &mut Repetition<'_>,
        collector: Option<&Collector>,
    ) -> Result<Addresses, Stopped> {
        let reports = collector.map_or_else(|| self.place.collector(), Collector::address);
        let scenario = repetition.scenario;
        let mut words =
            commands::between(scenario, repetition.context.programs, &self.listen).into_iter();
        let program = words.next().unwrap_or_default();
        let role = Role::Streamer;
        let args = words.collect();
        let mut spec = repetition.spec(role.as_str(), Path::new(&program), args);
        if scenario.server.is_some() {
            spec.log_stdout = true;
            self.start_another(repetition, spec).await?;
        } else {
            self.start(repetition, role, spec).await?;
            let said = self.ready(repetition, collector, role).await?;
            self.listen.http = announced(&said, "http", role)?;
            self.listen.rtsp = announced(&said, "rtsp", role)?;
            if self.listen.identity.is_some() {
                self.listen.quic = announced(&said, "quic", role)?;
            }
        }
        Ok(self.place.addresses(&self.listen, reports))
    }

    /// Starts another server than ours. It announces nothing that we understand: it is ready once its RTSP port takes
    /// connections, and it has no trace.
    async fn start_another(
        &mut self,
        repetition: &mut Repetition<'_>,
        spec: Spec,
    ) -> Result<(), Stopped> {
        let port = self.place.address_of(Role::Streamer, &self.listen.rtsp)?;
        let server = self.start(repetition, Role::Streamer, spec).await?;
        let open = tokio::time::timeout(READY, takes_connections(port));
        if repetition.until(open, &[server]).await?.is_err() {
            return Err(Stopped::Failed(anyhow::anyhow!(
                "the server of scenario {} takes no connection at {port} after {} s; does its command make it listen at \
                 {{rtsp}}? The end of its log, {}:\n{}",
                repetition.scenario.name,
                READY.as_secs(),
                server.log().display(),
                server.log_tail()
            )));
        }
        Ok(())
    }

    /// Waits until a service of ours is ready, and begins to pull its trace into the collector.
    pub(super) async fn ready(
        &mut self,
        repetition: &Repetition<'_>,
        collector: Option<&Collector>,
        role: Role,
    ) -> Result<Ready, Stopped> {
        let workload = self.running.get(&role);
        let workload = workload.ok_or_else(|| anyhow::anyhow!("{role} was not started"))?;
        let said = repetition.until(workload.ready(), &[]).await??;
        if let Some(collector) = collector {
            let ops = announced(&said, "ops", role)?;
            let target = Target {
                name: role.to_string(),
                ops: self.place.address_of(role, &ops)?.to_string(),
                stream: Some(FEED.to_owned()),
                ask_clock: !self.place.shares_our_clock(),
            };
            self.scrapers.insert(role, collector.scrape(target)?);
        }
        Ok(said)
    }

    /// The streamer's list of feeds; none while the streamer is not ready.
    pub(super) async fn feeds(&self) -> anyhow::Result<Option<String>> {
        let role = Role::Streamer;
        let Some(streamer) = self.running.get(&role) else {
            return Ok(None);
        };
        let port = HttpPort::Feeds(&self.listen.http);
        let list = self.place.get(role, streamer, port, "/feeds").await?;
        Ok(list.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// From now on frames count for which a client is too slow.
    pub(super) async fn count_behind_from_here(&mut self) {
        self.behind = Some(Behind::from(self.clients_behind().await));
    }

    /// Takes the frames for which clients have been too slow since they were asked last. A client that does not answer says nothing.
    pub(super) async fn count_behind(&mut self, repetition: &mut Repetition<'_>) {
        let Some(mut behind) = self.behind.take() else {
            return;
        };
        let taken = behind.take(self.clients_behind().await);
        self.behind = Some(behind);
        for (client, frames) in taken {
            repetition.meta.client_behind += frames;
            *repetition.meta.clients_behind.entry(client).or_default() += frames;
        }
    }

    /// Asks the renderer what it could not read of its film. One that does not answer says nothing.
    pub(super) async fn ask_source(&self, repetition: &mut Repetition<'_>) {
        let role = Role::Renderer;
        let Some(renderer) = self.running.get(&role) else {
            return;
        };
        let pages = self.place.get_each(role, renderer, METRICS).await;
        let unread = pages
            .iter()
            .filter_map(|(_, _, page)| unread::counted(page));
        repetition.meta.source_unread = unread.max().unwrap_or(0);
    }

    /// What each client has counted since its start of frames for which it was too slow.
    async fn clients_behind(&self) -> Vec<(Counting, u64)> {
        let role = Role::Client;
        let Some(client) = self.running.get(&role) else {
            return Vec::new();
        };
        let pages = self.place.get_each(role, client, METRICS).await;
        let counts = pages.into_iter().filter_map(|(client, instance, page)| {
            Some((Counting { client, instance }, behind::counted(&page)?))
        });
        counts.collect()
    }

    /// Brings here what a program has written to a file by now, where the program writes elsewhere.
    pub(super) async fn bring(&self, role: Role, file: &Path) -> anyhow::Result<()> {
        match self.running.get(&role) {
            Some(workload) => workload.bring(file).await,
            None => Ok(()),
        }
    }

    /// Compares the clock of each program of ours with ours, where all should be one.
    pub(super) async fn check_clocks(&self, repetition: &mut Repetition<'_>, when: &str) {
        if !self.place.shares_our_clock() {
            return;
        }
        for (role, workload) in &self.running {
            // Another server than ours has no such port, and the client may not have said yet where its own is.
            let said = tokio::time::timeout(LOOK, workload.ready()).await;
            let Some(ops) = said.ok().and_then(Result::ok).and_then(|said| {
                let ops = announced(&said, "ops", *role).ok()?;
                self.place.address_of(*role, &ops).ok()
            }) else {
                continue;
            };
            repetition.scraped(role.as_str(), ops);
            let check = clocks::check(*role, ops, when).await;
            if let Some(off) = check.as_ref().filter(|check| check.off_us() != 0) {
                let detail = format!("{} us from ours {when}", off.offset_us);
                repetition.events.now("clock off", role.as_str(), &detail);
            }
            repetition.meta.clock_checks.extend(check);
        }
    }

    /// Does what the scenario asks for on purpose.
    pub(super) async fn act(
        &mut self,
        repetition: &mut Repetition<'_>,
        action: Action,
    ) -> Result<(), Stopped> {
        let told = |what: &str, whom: &str| repetition.events.now(what, whom, "on purpose");
        match action {
            Action::Place(fault) => {
                match fault {
                    Fault::OutageBegins(of) => told("outage begins", &self.place.outage_of(of)),
                    Fault::KillGateway(cluster) => told("kill", &format!("gateway-{cluster}")),
                    Fault::Move(role) => told("move", role.as_str()),
                    Fault::OutageEnds(_) => repetition.cut_ends(),
                }
                self.place.inject(fault).await?;
                match fault {
                    Fault::OutageBegins(_) => repetition.cut_begins(),
                    Fault::OutageEnds(of) => {
                        let of = self.place.outage_of(of);
                        repetition.events.now("outage ends", &of, "on purpose");
                    }
                    Fault::KillGateway(_) | Fault::Move(_) => {}
                }
                // A process that came back is another one.
                repetition.watch(&self.place.watched());
                Ok(())
            }
            Action::Kill(role) => {
                told("kill", role.as_str());
                self.kill(repetition, role).await
            }
            Action::Fail(role) => {
                told("fail", role.as_str());
                self.fail(repetition, role).await
            }
            Action::DrainBegins(role) => {
                told("drain", role.as_str());
                self.drain(repetition, role).await
            }
            Action::DrainEnds(role) => self.undrain(repetition, role).await,
        }
    }

    /// Kills a program by SIGKILL and starts it again where it was, with the same command line and the same addresses.
    async fn kill(&mut self, repetition: &mut Repetition<'_>, role: Role) -> Result<(), Stopped> {
        if role == Role::Client {
            // Its counters go with it.
            self.count_behind(repetition).await;
        }
        let Some(mut workload) = self.running.remove(&role) else {
            return Ok(());
        };
        // Its ring goes with it. The new one's is told from it by its boot, and is pulled from the beginning.
        if let Some(scraper) = self.scrapers.get(&role) {
            catch_up(repetition, scraper).await;
        }
        let exit = workload.kill().await?;
        repetition.ended(&workload, &exit);
        let again = workload.restart().await?;
        repetition.started(&again)?;
        self.running.insert(role, again);
        Ok(())
    }

    /// Kills a program by SIGKILL, for good.
    async fn fail(&mut self, repetition: &mut Repetition<'_>, role: Role) -> Result<(), Stopped> {
        let Some(mut workload) = self.running.remove(&role) else {
            return Ok(());
        };
        if let Some(scraper) = self.scrapers.remove(&role) {
            catch_up(repetition, &scraper).await;
            repetition.meta.trace_overwritten += scraper.overwritten().await;
            scraper.stop().await;
        }
        let exit = workload.kill().await?;
        repetition.ended(&workload, &exit);
        self.ended.push(workload);
        Ok(())
    }

    /// Drains the node under a role: the programs on it go, and their end is no failure.
    async fn drain(&mut self, repetition: &mut Repetition<'_>, role: Role) -> Result<(), Stopped> {
        let Some(node) = self.running.get(&role).and_then(Workload::node) else {
            return Ok(());
        };
        let client = self.running.get(&Role::Client);
        if client.is_some_and(|client| client.is_on(&node)) {
            // Its counters go with it.
            self.count_behind(repetition).await;
        }
        let mut away = Vec::new();
        for (role, mut workload) in self.running.extract_if(.., |_, one| one.is_on(&node)) {
            if let Some(exit) = workload.leave().await {
                repetition.ended(&workload, &exit);
            }
            away.push((role, workload));
        }
        let drained = Drained { node, away };
        let drained = self.drained.entry(role).insert_entry(drained);
        Ok(self.place.drain(&drained.get().node).await?)
    }

    /// Has a drained node take pods again, and waits for the programs that left it.
    async fn undrain(
        &mut self,
        repetition: &mut Repetition<'_>,
        role: Role,
    ) -> Result<(), Stopped> {
        let Some(Drained { node, away }) = self.drained.remove(&role) else {
            return Ok(());
        };
        self.place.undrain(&node).await?;
        for (role, workload) in away {
            let again = repetition.until(workload.back(), &[]).await??;
            repetition.started(&again)?;
            self.running.insert(role, again);
        }
        Ok(())
    }

    /// Ends who ends first on this place; then what the services saw is pulled; then the others end.
    pub(super) async fn end_programs(&mut self, repetition: &mut Repetition<'_>) {
        if repetition.meta.pipeline == result::Pipeline::Ours {
            self.check_clocks(repetition, "at the end").await;
        }
        if let Some(mut first) = self.running.remove(&self.place.ends_first()) {
            repetition.terminate(&mut first).await;
            self.ended.push(first);
        }
        if let Some(scraping) = &repetition.context.scraping {
            scraping.forget();
        }
        for scraper in std::mem::take(&mut self.scrapers).into_values() {
            catch_up(repetition, &scraper).await;
            repetition.meta.trace_overwritten += scraper.overwritten().await;
            scraper.stop().await;
        }
        for mut workload in std::mem::take(&mut self.running).into_values().rev() {
            repetition.terminate(&mut workload).await;
            self.ended.push(workload);
        }
        let drained = std::mem::take(&mut self.drained).into_values();
        for (_, mut workload) in drained.flat_map(|one| one.away) {
            // How it ended is known: it was evicted. What would come in its place is not wanted any more.
            workload.terminate().await;
            self.ended.push(workload);
        }
    }

    /// Takes the place down, when every program has ended.
    pub(super) async fn down(self, repetition: &mut Repetition<'_>) {
        let ended = self.place.down().await;
        for (role, used) in ended.used {
            repetition.used(&role, used);
        }
        ended.meta.record(&mut repetition.meta);
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
async fn takes_connections(port: SocketAddr) {
    while TcpStream::connect(port).await.is_err() {
        tokio::time::sleep(LOOK).await;
    }
}
