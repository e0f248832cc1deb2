//! `xr-lisp control` from its start to its drained end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use service::http::{self, Limits};
use service::ops::Ops;
use service::{Secret, Shutdown, StartError, clock, ready};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::args::ControlArgs;
use super::clusters::Clusters;
use super::config::Config;
use super::directory::Directory;
use super::metrics::Metrics;
use super::state::State;
use super::store::Store;
use super::{api, udp, view};
use crate::server::{MapServer, SavedState};
use crate::told::{Told, monotonic_ns};

/// The name of the program.
const PROGRAM: &str = "xr-lisp";

/// The interval at which the Map-Server's state is saved, and how much of it at most: the window of replays that a crash opens.
const SAVE_EVERY: Duration = Duration::from_secs(1);
const SAVE_AT_ONCE: usize = 20_000;

/// How often released addresses are looked through.
const EXPIRE_EVERY: u32 = 60;

/// Runs the control plane until the shutdown.
pub async fn run(args: ControlArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let ops_address = args.common.ops.context("--ops has a default")?;
    let token = args.token.load()?;
    let tls = args.tls.load()?;
    let mut config = Config::load(&args.config)?;
    config.server.port = args.listen.port();
    let store = Store::open(&args.store).with_context(|| {
        format!(
            "cannot open the store {}, from --store (XR_LISP_STORE); one control plane at a time has it",
            args.store.display()
        )
    })?;
    let directory = Directory::open(config.book, store)?;
    let saved = directory.saved()?;

    let socket = udp::bind(args.listen, "--listen (XR_LISP_LISTEN)")?;
    let control = socket.local_addr()?;
    let api_origin = "--api (XR_LISP_API)";
    let listener = http::listen(args.api, api_origin)?;
    let api_address = listener.local_addr()?;
    let agents = match tls {
        Some(tls) => {
            let listener = http::listen(args.tls.agents, "--agents (XR_LISP_AGENTS)")?;
            Some((listener.local_addr()?, listener, tls))
        }
        None => None,
    };
    // Port 0 was asked for: peers are sent to the one that they send to.
    config.server.port = control.port();

    let seed = getrandom::u64().map_err(StartError::Random)?;
    let now = Instant::now();
    let mut server = MapServer::new(config.server, seed, now);
    for (eid, policy) in config.policies {
        server.set_policy(eid, policy, now);
    }
    for service in directory.book().services().values() {
        for site in service
            .clusters
            .iter()
            .filter_map(|cluster| config.clusters.get(cluster))
        {
            server.allow(service.eid, *site);
        }
    }
    server.restore(saved, now);
    let state = Arc::new(State {
        server: Mutex::new(server),
        clusters: Mutex::new(Clusters::default()),
        directory: Mutex::new(directory),
        sites: config.clusters,
        token,
        epoch: Secret::random()?.expose().to_owned(),
        says: args.events,
        wake: Notify::new(),
    });

    let mut ops = Ops::new(PROGRAM);
    ops.registry
        .register_collector(Box::new(Metrics(Arc::clone(&state))));
    ops.more = view::routes(Arc::clone(&state));
    let limits = Limits::default();
    limits.counters.register(&mut ops.registry, "api");
    let agent_limits = Limits::default();
    agent_limits.counters.register(&mut ops.registry, "agents");
    let readiness = ops.ready.clone();
    let ops = ops.bind(ops_address, &shutdown).await?;

    let served = tokio::spawn(http::serve(
        listener,
        api::routes(Arc::clone(&state)),
        limits,
        shutdown.child(),
    ));
    let mut addresses = vec![
        ("ops", ops.local_addr().to_string()),
        ("control", control.to_string()),
        ("api", api_address.to_string()),
    ];
    let agents_served = agents.map(|(address, listener, tls)| {
        addresses.push(("agents", address.to_string()));
        let routes = api::routes(Arc::clone(&state));
        let stop = shutdown.child();
        tokio::spawn(http::serve_tls(listener, tls, routes, agent_limits, stop))
    });
    let machine = tokio::spawn(udp::run(socket, Arc::clone(&state), shutdown.child()));
    readiness.set_ready();
    ready::announce(PROGRAM, &addresses);

    watch(&state, &shutdown).await;
    // What both had in flight has an end by itself; a panic of theirs has been printed.
    let _ = tokio::join!(served, machine);
    if let Some(served) = agents_served {
        let _ = served.await;
    }
    save(&state).await;
    ops.stop().await;
    Ok(())
}

/// Looks after clusters that are lost, addresses that are free again, and what has to be kept.
async fn watch(state: &Arc<State>, shutdown: &Shutdown) {
    let mut saves = interval(SAVE_EVERY);
    saves.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seconds = 0_u32;
    loop {
        let lost_at = state.clusters.lock().next_time();
        // One that is heard for the first time, or with a shorter interval, is looked for after this.
        let at_latest = Instant::now() + Duration::from_millis(50);
        let look = lost_at.map_or(at_latest, |at| at.min(at_latest));
        tokio::select! {
            () = shutdown.fired() => return,
            () = tokio::time::sleep_until(look.into()) => {}
            _ = saves.tick() => {
                save(state).await;
                seconds = seconds.wrapping_add(1);
                if seconds.is_multiple_of(EXPIRE_EVERY) {
                    expire(state).await;
                }
            }
        }
        let lost = state.clusters.lock().lost(Instant::now());
        for cluster in lost {
            let Some(site) = state.sites.get(&cluster) else {
                continue;
            };
            let at_ns = monotonic_ns();
            let services = state.with_server(|server, now| server.withdraw_site(*site, now));
            tracing::warn!(
                cluster,
                services,
                "no heartbeat: its registrations are withdrawn"
            );
            if state.says {
                Told::Lost { at_ns, cluster }.say();
            }
        }
    }
}

async fn save(state: &Arc<State>) {
    let saved = state.server.lock().take_saved(SAVE_AT_ONCE);
    if saved == SavedState::default() {
        return;
    }
    let worker = Arc::clone(state);
    let result = tokio::task::spawn_blocking(move || worker.directory.lock().save(&saved)).await;
    if let Ok(Err(error)) = result {
        tracing::error!(
            "cannot write the store: {error}; a restart would not know the last nonces"
        );
    }
}

async fn expire(state: &Arc<State>) {
    let worker = Arc::clone(state);
    let result =
        tokio::task::spawn_blocking(move || worker.directory.lock().expire(clock::now())).await;
    match result {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(freed)) => tracing::info!(freed, "addresses are free again"),
        Ok(Err(error)) => tracing::error!("cannot write the store: {error}"),
    }
}
