//! Servers behind TLS: real handshakes, and peers that do not go through with theirs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get as route;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::version::TLS12;
use rustls::{ClientConfig, RootCertStore};
use service::Shutdown;
use service::http::{Limits, listen, serve_either};
use service::tls::{CaArgs, PemFile, TlsArgs, trouble};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::talk::{PATIENCE, connect, exchange, loopback, rest};

type Issued = Issuer<'static, KeyPair>;

/// An authority, whose certificate lies in `NAME.crt`.
fn authority(folder: &Path, name: &str) -> Issued {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).expect("written");
    Issuer::new(params, key)
}

/// Writes a certificate for `name`, and its key, where the server looks for them.
fn certify(folder: &Path, by: &Issued, name: &str) {
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("signed");
    std::fs::write(folder.join("tls.crt"), certificate.pem()).expect("written");
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).expect("written");
}

/// What a client makes of the authority in `name`.
fn believes(folder: &Path, name: &str) -> Arc<ClientConfig> {
    let args = CaArgs {
        tls_ca: Some(folder.join(format!("{name}.crt"))),
    };
    args.client("https").expect("sound").expect("https")
}

struct Server {
    address: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

fn start(folder: &Path, limits: Limits) -> Server {
    let args = TlsArgs {
        tls_cert: Some(folder.join("tls.crt")),
        tls_key: Some(folder.join("tls.key")),
    };
    let config = args.server().expect("a pair");
    assert!(config.is_some());
    let router = Router::new().route("/live", route(async || "live\n"));
    let listener = listen(loopback(), "--test").expect("a free port");
    let (address, shutdown) = (listener.local_addr().expect("bound"), Shutdown::new());
    let task = tokio::spawn(serve_either(
        listener,
        config,
        router,
        limits,
        shutdown.clone(),
    ));
    Server {
        address,
        shutdown,
        task,
    }
}

async fn shake(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<TlsStream<tokio::net::TcpStream>> {
    let name = IpAddr::from([127, 0, 0, 1]).into();
    let shaken = TlsConnector::from(Arc::clone(config)).connect(name, connect(address).await);
    tokio::time::timeout(PATIENCE, shaken)
        .await
        .expect("in time")
}

/// `GET /live`, to the end of the connection.
async fn ask(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<String, String> {
    let exchange = async {
        let mut stream = shake(address, config).await?;
        let request = b"GET /live HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<String> = exchange.await;
    answer.map_err(|error| trouble(&error))
}

#[tokio::test]
async fn who_believes_the_authority_is_served_and_others_learn_why_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = authority(folder.path(), "ca");
    authority(folder.path(), "strangers");
    certify(folder.path(), &ours, "127.0.0.1");
    let server = start(folder.path(), Limits::default());
    let believing = believes(folder.path(), "ca");
    let answer = ask(server.address, &believing).await.expect("served");
    assert!(answer.contains("200 OK") && answer.ends_with("live\n"));
    let stream = shake(server.address, &believing).await.expect("shaken");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    let roots = roots(&folder.path().join("ca.crt"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let older = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS12])
        .expect("it has 1.2")
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert!(ask(server.address, &Arc::new(older)).await.is_ok());

    let why = ask(server.address, &believes(folder.path(), "strangers")).await;
    let why = why.expect_err("nobody vouches");
    assert!(
        why.contains("UnknownIssuer") && why.contains("--tls-ca"),
        "{why}"
    );
    certify(folder.path(), &ours, "elsewhere.example");
    let other = start(folder.path(), Limits::default());
    let why = ask(other.address, &believing)
        .await
        .expect_err("another name");
    assert!(
        why.contains("elsewhere.example") && why.contains("subjectAltName"),
        "{why}"
    );
}

/// The authority of a file.
fn roots(path: &Path) -> RootCertStore {
    let file = PemFile {
        path,
        origin: "--test",
    };
    Arc::unwrap_or_clone(file.roots().expect("an authority"))
}

#[tokio::test]
async fn either_side_learns_that_the_other_speaks_no_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = authority(folder.path(), "ca");
    certify(folder.path(), &ours, "127.0.0.1");
    let server = start(folder.path(), Limits::default());
    let answer = exchange(
        server.address,
        b"GET /live HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\r\n",
    );
    let answer = answer.await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("write https://"),
        "{answer}"
    );
    let live = Router::new().route("/live", route(async || "live\n"));
    let (plain, _shutdown, _task) = crate::talk::start(live, Limits::default());
    let why = ask(plain, &believes(folder.path(), "ca")).await;
    let why = why.expect_err("no TLS");
    assert!(why.contains("write http://"), "{why}");
}

#[tokio::test]
async fn handshakes_that_do_not_go_on_hold_no_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = authority(folder.path(), "ca");
    certify(folder.path(), &ours, "127.0.0.1");
    let limits = Limits {
        connections: 4,
        handshake: Duration::from_hours(1),
        drain: Duration::from_hours(1),
        ..Limits::default()
    };
    let mut registry = Registry::default();
    limits.counters.register(&mut registry, "test");
    let server = start(folder.path(), limits);
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = connect(server.address).await;
        // The beginning of a handshake.
        let begun = stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await;
        begun.expect("sent");
        slow.push(stream);
    }
    let believing = believes(folder.path(), "ca");
    assert!(ask(server.address, &believing).await.is_ok());
    assert_eq!(rest(&mut slow[0]).await, "", "the oldest made room");
    let mut text = String::new();
    encode(&mut text, &registry).expect("text");
    assert!(
        text.contains("evicted_total{listener=\"test\"} 37"),
        "{text}"
    );

    // Whoever has not asked anything is not waited for at the end.
    server.shutdown.begin();
    let ended = tokio::time::timeout(PATIENCE, server.task).await;
    ended.expect("it ends").expect("without a panic");
}

#[tokio::test]
async fn a_handshake_has_its_time_and_no_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours = authority(folder.path(), "ca");
    certify(folder.path(), &ours, "127.0.0.1");
    let limits = Limits {
        handshake: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = start(folder.path(), limits);
    let mut silent = connect(server.address).await;
    let mut half = connect(server.address).await;
    let begun = half.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await;
    begun.expect("sent");
    for stream in [&mut silent, &mut half] {
        assert_eq!(rest(stream).await, "");
    }
    assert!(
        ask(server.address, &believes(folder.path(), "ca"))
            .await
            .is_ok()
    );
}

/// A renewed certificate is shown without a restart.
#[tokio::test]
async fn a_renewed_certificate_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = authority(folder.path(), "old");
    let new = authority(folder.path(), "new");
    certify(folder.path(), &old, "127.0.0.1");
    let server = start(folder.path(), Limits::default());
    let believing = believes(folder.path(), "new");
    assert!(
        ask(server.address, &believes(folder.path(), "old"))
            .await
            .is_ok()
    );
    assert!(ask(server.address, &believing).await.is_err());
    certify(folder.path(), &new, "127.0.0.1");
    let shown = async {
        while ask(server.address, &believing).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, shown)
        .await
        .expect("it is read again");
}
