//! What follows from which answer.

use super::*;

#[test]
fn only_what_may_pass_is_tried_again() {
    let short = Duration::from_millis(3);
    for (status, next) in [
        (StatusCode::OK, Next::Retry),
        (StatusCode::BAD_REQUEST, Next::GiveUp),
        (StatusCode::UNAUTHORIZED, Next::GiveUp),
        (StatusCode::NOT_FOUND, Next::GiveUp),
        (StatusCode::CONFLICT, Next::RetrySlowly),
        (StatusCode::PAYLOAD_TOO_LARGE, Next::GiveUp),
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, Next::GiveUp),
        (StatusCode::INTERNAL_SERVER_ERROR, Next::Retry),
        (StatusCode::SERVICE_UNAVAILABLE, Next::RetrySlowly),
    ] {
        assert_eq!(after(status, short), next, "{status}");
    }
    assert_eq!(
        after(StatusCode::BAD_REQUEST, GOOD),
        Next::Retry,
        "it was taken for a while"
    );
}

/// A streamer's port that takes `PUT /feeds/a` over TLS with a token, and the folder with the authority's file.
fn encrypted() -> (FeedUrl, tempfile::TempDir, Shutdown) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use service::tls::TlsArgs;

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(file("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    std::fs::write(file("tls.crt"), certificate.pem()).unwrap();
    std::fs::write(file("tls.key"), key.serialize_pem()).unwrap();
    let tls = TlsArgs {
        tls_cert: Some(file("tls.crt")),
        tls_key: Some(file("tls.key")),
    };
    let take = async |headers: http::HeaderMap| match headers.get("authorization") {
        Some(token) if token == "Bearer herring" => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    };
    let router = axum::Router::new().route("/feeds/a", axum::routing::put(take));
    let listener = service::http::listen(([127, 0, 0, 1], 0).into(), "--test").unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = Shutdown::new();
    let (config, limits) = (tls.server().unwrap(), service::http::Limits::default());
    tokio::spawn(service::http::serve_either(
        listener,
        config,
        router,
        limits,
        stop.clone(),
    ));
    let url = format!("https://localhost:{port}/feeds/a");
    (url.parse().unwrap(), folder, stop)
}

fn believing(ca: &std::path::Path) -> Arc<ClientConfig> {
    let ca = service::tls::CaArgs {
        tls_ca: Some(ca.to_owned()),
    };
    ca.client("https").unwrap().unwrap()
}

#[tokio::test]
async fn a_feed_goes_over_tls_with_its_token() {
    let (url, folder, _stop) = encrypted();
    let ca = folder.path().join("ca.crt");
    let put = async |token: &str, tls: Arc<ClientConfig>| {
        let sender = Sender {
            token: Some(service::Secret::new(token)),
            process: service::Secret::new("process"),
        };
        let connected = connection::dial(&url, Some(&tls)).await;
        let connection = connected.map_err(|error| service::tls::trouble(&error))?;
        let Connection {
            sender: mut requests,
            driver,
        } = connection;
        tokio::spawn(driver);
        let request = connection::put(&url, &sender, None, body::empty());
        let answer = requests.send_request(request).await;
        answer
            .map(|answer| answer.status())
            .map_err(|error| cause(&error))
    };
    assert_eq!(put("herring", believing(&ca)).await, Ok(StatusCode::OK));
    let wrong = put("cod", believing(&ca)).await;
    assert_eq!(wrong, Ok(StatusCode::UNAUTHORIZED));

    let (_, strangers, _stop) = encrypted();
    let why = put("herring", believing(&strangers.path().join("ca.crt"))).await;
    assert!(why.clone().unwrap_err().contains("--tls-ca"), "{why:?}");
}

/// Whoever forgot the letter s is told, and so is whoever wrote one too many.
#[tokio::test]
async fn the_wrong_scheme_is_told() {
    let (url, folder, _stop) = encrypted();
    let plain: FeedUrl = url.to_string().replace("https", "http").parse().unwrap();
    let Connection { mut sender, driver } = connection::dial(&plain, None).await.unwrap();
    tokio::spawn(driver);
    let ours = Sender {
        token: None,
        process: service::Secret::new("process"),
    };
    let request = connection::put(&plain, &ours, None, body::empty());
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(after(answer.status(), Duration::ZERO), Next::GiveUp);
    let why = connection::refusal(answer).await;
    assert!(why.contains("write https://"), "{why}");

    let listener = service::http::listen(([127, 0, 0, 1], 0).into(), "--test").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (router, limits) = (axum::Router::new(), service::http::Limits::default());
    tokio::spawn(service::http::serve(
        listener,
        router,
        limits,
        Shutdown::new(),
    ));
    let url: FeedUrl = format!("https://localhost:{port}/feeds/a").parse().unwrap();
    let tls = believing(&folder.path().join("ca.crt"));
    let Err(error) = connection::dial(&url, Some(&tls)).await else {
        panic!("there is no TLS");
    };
    let why = service::tls::trouble(&error);
    assert!(why.contains("write http://"), "{why}");
}
