//! RTSP over TLS: from a server that is believed, and from no other.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::client::{Client, await_rows, refuse_in};
use crate::server::{Options, Server};

/// A folder with `ca.crt`, `other.crt` of an authority that signed nothing, and the server's `tls.crt` and `tls.key`.
struct Certificates(tempfile::TempDir);

impl Certificates {
    /// The server's is for `name`.
    fn new(name: &str) -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.authority("other");
        let issuer = made.authority("ca");
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(made.file("tls.crt"), certificate.pem()).unwrap();
        std::fs::write(made.file("tls.key"), key.serialize_pem()).unwrap();
        made
    }

    fn authority(&self, name: &str) -> Issuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(self.file(&format!("{name}.crt")), certificate.pem()).unwrap();
        Issuer::new(params, key)
    }

    fn file(&self, name: &str) -> String {
        let path: &Path = self.0.path();
        path.join(name).display().to_string()
    }

    fn server(&self, options: Options, more: &[&str]) -> Server {
        let (chain, key) = (self.file("tls.crt"), self.file("tls.key"));
        let tls = ["--tls", &chain, &key];
        Server::start_with(options, &[&tls, more].concat())
    }
}

fn plays(server: &Server, more: &[&str], env: &[(&str, &str)], enough: u32) {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames.csv");
    let args = [&["--frames", frames.to_str().unwrap()], more].concat();
    let client = Client::start_in(&server.url(), &args, env);
    await_rows(&frames, "frames are shown", |rows| {
        rows.iter()
            .any(|row| row.frame.is_some_and(|frame| frame.0 >= enough))
    });
    let ended = client.terminate();
    assert!(ended.status.success(), "{}", ended.stderr);
    let summary = ended.summary();
    assert_eq!(summary["transport"], "tcp", "{summary}");
    assert_eq!(summary["reconnects"], 0, "{summary}\n{}", ended.stderr);
}

#[test]
fn a_stream_comes_from_a_server_that_is_believed() {
    let certificates = Certificates::new("127.0.0.1");
    let ca = certificates.file("ca.crt");
    let server = certificates.server(
        Options::default(),
        &["--user", "viewer", "sesame", "--basic"],
    );
    let user = ["--tls-ca", &ca, "--user", "viewer"];
    plays(&server, &user, &[("XR_PASSWORD", "sesame")], 10);
}

/// Whoever asks whether the server still lives asks over TLS too.
#[test]
fn a_feed_that_is_gone_for_a_while_keeps_the_session() {
    let certificates = Certificates::new("127.0.0.1");
    let ca = certificates.file("ca.crt");
    let silent = Options {
        silent: Some((60, 140)),
        ..Options::default()
    };
    plays(
        &certificates.server(silent, &[]),
        &["--tls-ca", &ca],
        &[],
        145,
    );
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_with_the_reason() {
    let (right, elsewhere) = (
        Certificates::new("127.0.0.1"),
        Certificates::new("elsewhere.test"),
    );
    let authority = |of: &Certificates, name| vec!["--tls-ca".to_owned(), of.file(name)];
    for (of, flags, why) in [
        (&right, vec![], "no authority that is believed"),
        (&right, authority(&right, "other.crt"), "with --tls-ca"),
        (
            &elsewhere,
            authority(&elsewhere, "ca.crt"),
            "not for the host",
        ),
    ] {
        let server = of.server(Options::default(), &[]);
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let args = [&["--duration", "1s"], &flags[..]].concat();
        let client = Client::start(&server.url(), &args);
        client.await_reason("certificate is not trusted");
        let ended = client.terminate();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert!(
            last.contains("not trusted") && last.contains(why),
            "{why}: {}",
            ended.stderr
        );
        assert_eq!(ended.summary()["frames"]["shown"], 0);
    }
}

#[test]
fn a_port_without_tls_is_told() {
    let server = Server::start(Options::default());
    let client = Client::start(&server.url().replace("rtsp:", "rtsps:"), &[]);
    client.await_reason("no TLS with 127.0.0.1");
    let ended = client.terminate();
    assert!(
        ended.stderr.contains("begins with rtsp://"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_machine_without_tls_is_told_at_once() {
    let args = ["--url", "rtsps://127.0.0.1:1/x", "--ops", "127.0.0.1:0"];
    let nothing = tempfile::tempdir().unwrap();
    let modules = [("GIO_MODULE_DIR", nothing.path().to_str().unwrap())];
    let ended = refuse_in(&args, &modules);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("apt-get install glib-networking"),
        "{}",
        ended.stderr
    );
}
