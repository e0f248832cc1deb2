//! The client goes where it was told to, and not to a proxy that the environment names: reports and streams are nobody else's.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::client::{Client, await_rows};
use crate::server::{Options, Server};

#[test]
fn a_proxy_of_the_environment_is_not_used() {
    let [proxy, collector] = [0; 2].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    for listener in [&proxy, &collector] {
        listener.set_nonblocking(true).unwrap();
    }
    let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
    let (named, collector_url) = (address(&proxy), address(&collector));
    let variables = [
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "rtsp_proxy",
    ];
    let mut env: Vec<_> = variables.map(|name| (name, named.as_str())).into();
    // Nothing is excepted from it.
    env.extend([("no_proxy", ""), ("NO_PROXY", "")]);
    let server = Server::start(Options::default());
    let directory = tempfile::tempdir().unwrap();
    let frames = directory.path().join("frames.csv");
    let client = Client::start_in(
        &server.url(),
        &[
            "--frames",
            frames.to_str().unwrap(),
            "--collector",
            &collector_url,
        ],
        &env,
    );
    await_rows(&frames, "frames are shown", |rows| rows.len() > 10);
    client.terminate();
    collector.accept().expect("its reports go to the collector");
    let taken = proxy.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::WouldBlock), "the proxy was spoken to");
}
