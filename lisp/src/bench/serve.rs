//! The service of an experiment: answers requests with its own name, and has a page for probes.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use service::{Shutdown, ready};
use tokio::net::{TcpListener, UdpSocket};

/// The name of the program.
const PROGRAM: &str = "xr-lisp-bench-serve";

/// The longest request that is answered whole.
const MOST_BYTES: usize = 2_048;

/// The arguments of the service.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where requests come in
    #[arg(long, value_name = "ADDR:PORT", value_delimiter = ',', required = true)]
    listen: Vec<SocketAddr>,
    /// What its answers end with
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Where its page is
    #[arg(long, value_name = "ADDR:PORT")]
    page: SocketAddr,
}

/// Answers until the shutdown.
pub(crate) async fn run(args: ServeArgs, shutdown: Shutdown) -> anyhow::Result<()> {
    let refused = |address| move || format!("cannot listen on {address}");
    for address in args.listen {
        let socket = UdpSocket::bind(address).await;
        let socket = socket.with_context(refused(address))?;
        tokio::spawn(answer(socket, args.name.clone()));
    }
    let listener = TcpListener::bind(args.page).await;
    let listener = listener.with_context(refused(args.page))?;
    ready::announce(PROGRAM, &[]);
    let page = Router::new().route("/ready", get(async || "ready\n"));
    tokio::select! {
        () = shutdown.fired() => Ok(()),
        served = axum::serve(listener, page) => Ok(served?),
    }
}

/// Sends every request back with the name behind it.
async fn answer(socket: UdpSocket, name: String) {
    let mut buffer = vec![0; MOST_BYTES + name.len()];
    loop {
        // An error here is of an answer that found nobody; the next request may find somebody.
        let Ok((length, from)) = socket.recv_from(&mut buffer[..MOST_BYTES]).await else {
            continue;
        };
        buffer[length..length + name.len()].copy_from_slice(name.as_bytes());
        let _ = socket.send_to(&buffer[..length + name.len()], from).await;
    }
}
