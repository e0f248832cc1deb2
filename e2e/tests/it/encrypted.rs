//! Feed, stream and reports over TLS, and viewers who are asked for a password: all between our own programs.

use std::path::Path;

use e2e::{Sandbox, until};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::tools::{PATIENCE, assert_whole, text};

/// Writes an authority's certificate, and one of 127.0.0.1 that it vouches for with its key.
fn certify([ca, chain, key]: [&Path; 3]) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "e2e");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&authority).expect("a certificate");
    std::fs::write(ca, certificate.pem()).expect("written");
    let issuer = Issuer::new(params, authority);
    let own = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&own, &issuer).expect("a certificate");
    std::fs::write(chain, certificate.pem()).expect("written");
    std::fs::write(key, own.serialize_pem()).expect("written");
}

/// Who has the password sees every frame; who has another is told so, and sees none.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_encrypted_on_its_whole_way_and_shown_to_who_may_watch() {
    let sandbox = Sandbox::new();
    let [ca, chain, key] = ["ca.crt", "tls.crt", "tls.key"].map(|name| sandbox.path(name));
    certify([&ca, &chain, &key]);
    let [viewers, right, wrong] = ["viewers", "right", "wrong"].map(|name| sandbox.path(name));
    std::fs::write(&viewers, "ann:swordfish\n").expect("written");
    std::fs::write(&right, "swordfish\n").expect("written");
    std::fs::write(&wrong, "herring\n").expect("written");
    let [ca, chain, key, viewers, right, wrong] =
        [ca, chain, key, viewers, right, wrong].map(|path| text(&path));

    let flags = ["--tls-cert", &chain, "--tls-key", &key];
    let flags = [
        flags.as_slice(),
        &["--rtsps", "127.0.0.1:0", "--viewers-file", &viewers],
    ];
    let streamer = sandbox.streamer(&flags.concat()).await;
    let feed = format!("https://{}/feeds/room", streamer.addr("http"));
    let renderer = sandbox.renderer(&feed, &["--tls-ca", &ca]).await;
    let stream = format!("rtsps://{}/room", streamer.addr("rtsps"));
    let who = ["--tls-ca", &ca, "--user", "ann", "--password-file"];
    let with = |password| [who.as_slice(), &[password]].concat();
    let viewer = sandbox.client(&stream, &with(&right)).await;
    viewer.shows(60, PATIENCE).await;
    assert_whole(&viewer).await;

    let stranger = sandbox.client(&stream, &with(&wrong)).await;
    let denied = "xr_streamer_denied_requests_total{reason=\"wrong\"}";
    until("the stranger is refused", PATIENCE, async || {
        let count = streamer.ops().metric(denied).await?;
        (count >= 1.0).then_some(())
    })
    .await;
    until("the stranger is told", PATIENCE, async || {
        let log = std::fs::read_to_string(&stranger.process().spec().log).ok()?;
        log.contains("401").then_some(())
    })
    .await;
    assert_eq!(stranger.shown().await, Some(0));
    for service in [stranger, viewer, renderer, streamer] {
        let log = std::fs::read_to_string(&service.process().spec().log).expect("a log");
        assert!(!log.contains("swordfish") && !log.contains("herring"));
        service.terminate().await;
    }
}
