//! The page of a run: `xrbench run --open` shows the run in a browser as it goes, also one that is in a lab.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use collect::Live;
use service::http::{self, Limits};
use service::{Shutdown, clock};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Listens for browsers and says where; with a desktop, opens the page there.
///
/// To be called outside of any lab, where browsers are: whoever comes before the page is served waits.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}/", listener.local_addr()?);
        Ok((listener, url))
    };
    let (listener, url) = listen().map_err(|error: io::Error| {
        let text = format!("--open (XR_OPEN) {address}: {error}; give another address, or port 0 for any that is free");
        io::Error::new(error.kind(), text)
    })?;
    // Not by the log, whose thread would be lost in a lab; who closed stderr does without.
    let _ = writeln!(io::stderr(), "the run can be watched at {url}");
    if ["DISPLAY", "WAYLAND_DISPLAY"].map(std::env::var_os) != [None, None] {
        let mut browser = Command::new("xdg-open");
        let quiet = browser.arg(&url).stdin(Stdio::null());
        // Without it, there is still the address.
        let _ = quiet.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
    Ok(listener)
}

/// The page, which is served until its end.
#[derive(Debug)]
pub(super) struct Page {
    live: Arc<Live>,
    stop: Shutdown,
    server: JoinHandle<()>,
    seconds: JoinHandle<()>,
}

impl Page {
    /// Serves the page, and `more` beside it.
    pub(super) fn serve(listener: TcpListener, more: Router) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::from_std(listener).context("--open (XR_OPEN)")?;
        let (live, stop) = (Arc::<Live>::default(), Shutdown::new());
        let limits = Limits {
            connections: 64,
            ..Limits::default()
        };
        let routes = live.routes(stop.clone()).merge(more);
        let (told, until) = (Arc::clone(&live), stop.clone());
        let seconds = async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = until.fired() => return,
                    _ = ticks.tick() => told.end_second(clock::now()),
                }
            }
        };
        Ok(Self {
            live,
            server: tokio::spawn(http::serve(listener, routes, limits, stop.clone())),
            stop,
            seconds: tokio::spawn(seconds),
        })
    }

    /// The receiver of everything that the page shows.
    pub(super) const fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Tells every browser how the run ended.
    pub(super) async fn end(self, how: String) {
        self.live.end_run(clock::now(), how);
        self.stop.begin();
        // A panic of theirs has been printed already.
        let _ = tokio::join!(self.server, self.seconds);
    }
}
