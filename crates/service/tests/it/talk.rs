//! HTTP by hand, so that nothing corrects what a test wants to get wrong.

use std::net::SocketAddr;
use std::time::Duration;

use service::Shutdown;
use service::http::{Limits, listen, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Far above what any answer takes, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Serves `router` within `limits` until the shutdown.
pub(crate) fn start(
    router: axum::Router,
    limits: Limits,
) -> (SocketAddr, Shutdown, JoinHandle<()>) {
    let listener = listen(loopback(), "--test").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let shutdown = Shutdown::new();
    let task = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    (address, shutdown, task)
}

pub(crate) async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("somebody listens")
}

/// Sends `request` and reads until the peer closes.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address).await;
    // The peer may refuse before it has read everything.
    let _ = stream.write_all(request).await;
    rest(&mut stream).await
}

/// What comes until the peer closes, or resets.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the connection is closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Reads until `end` has come.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&answer).contains(end) {
            let byte = stream.read_u8().await.expect("more is to come");
            answer.push(byte);
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the answer comes in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// `GET path`, on a connection of its own: head and body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let answer = exchange(address, request.as_bytes()).await;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no HTTP: {answer:?}"));
    (head.to_lowercase(), body.to_owned())
}
