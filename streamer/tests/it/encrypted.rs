//! Feeds over HTTPS.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConnection, StreamOwned};
use service::tls::{CaArgs, trouble};
use tempfile::TempDir;

use crate::feeding::{RTP, framed};
use crate::server::{ENDED_WITHIN, PATIENCE, Streamer, get};

const TOKEN: &str = "herring";

/// The beginning of a key picture.
const KEY: &[u8] = &[0x65, 0x88, 1];

/// Writes an authority and a certificate of it for this machine's loopback.
pub(crate) fn certify(folder: &Path) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("token"), TOKEN).unwrap();
}

/// A streamer whose feeds come over HTTPS, with the token.
fn start() -> (Streamer, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key, token) = (file("tls.crt"), file("tls.key"), file("token"));
    let streamer = Streamer::start(&[
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--feed-token-file",
        &token,
    ]);
    (streamer, folder)
}

/// Feeds a key frame over TLS, believing the authority in `ca`; the answer, or why there is none.
fn feed(streamer: &Streamer, ca: &Path, token: &str) -> Result<String, String> {
    let ca = CaArgs {
        tls_ca: Some(ca.to_owned()),
    };
    let config = ca.client("https").unwrap().unwrap();
    let name = IpAddr::from([127, 0, 0, 1]).into();
    let session = ClientConnection::new(Arc::clone(&config), name).unwrap();
    let socket = TcpStream::connect(streamer.http).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let head = format!(
        "PUT /feeds/room HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {RTP}\r\nAuthorization: Bearer {token}\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let packet = framed(0, 0, KEY);
    let mut request = format!("{head}{:x}\r\n", packet.len()).into_bytes();
    request.extend(packet);
    request.extend(b"\r\n0\r\n\r\n");
    let mut answer = String::new();
    let exchange = stream
        .write_all(&request)
        .and_then(|()| stream.read_to_string(&mut answer));
    exchange.map_err(|error| trouble(&error))?;
    Ok(answer)
}

#[test]
fn a_feed_over_tls_is_taken_with_its_token() {
    let (mut streamer, folder) = start();
    let ca = folder.path().join("ca.crt");
    let answer = feed(&streamer, &ca, TOKEN).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = feed(&streamer, &ca, "cod").unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    let (status, body) = get(streamer.http, "/feeds");
    assert!(
        status == 400 && body.contains("https://"),
        "{status} {body}"
    );
    let strangers = tempfile::tempdir().unwrap();
    certify(strangers.path());
    let why = feed(&streamer, &strangers.path().join("ca.crt"), TOKEN).unwrap_err();
    assert!(why.contains("--tls-ca"), "another authority: {why}");

    // A peer that does not go on with its handshake holds nothing up.
    let _silent = TcpStream::connect(streamer.http).unwrap();
    let (time, code) = streamer.terminate();
    assert!(time < ENDED_WITHIN && code == Some(0), "{code:?}");
}

#[test]
fn a_certificate_without_its_key_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let key = KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(folder.path().join("tls.key"), key).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_xr-streamer"))
        .args(["--http", "127.0.0.1:0", "--rtsp", "127.0.0.1:0"])
        .args(["--ops", "127.0.0.1:0", "--tls-cert"])
        .arg(folder.path().join("tls.crt"))
        .arg("--tls-key")
        .arg(folder.path().join("tls.key"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("belongs to --tls-key"), "{said}");
}
