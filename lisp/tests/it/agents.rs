//! The API as agents in clusters use it: over mutual TLS, each for its own cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use lisp::eid::Eid;
use lisp::tls::{self, Identity, PemFile};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use crate::process::{ControlPlane, prepare};
use crate::xtr::Xtr;

/// An authority, which signs certificates for servers and agents into a folder.
struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(folder.join(format!("{name}.crt")), pem).unwrap();
        Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
        }
    }

    fn sign(&self, file: &str, names: &[&str]) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end| self.folder.join(format!("{file}.{end}"));
        std::fs::write(path("crt"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
    }
}

fn pem(path: &Path) -> PemFile<'_> {
    PemFile {
        path,
        origin: "a test's file",
    }
}

fn roots(folder: &Path) -> std::sync::Arc<RootCertStore> {
    pem(&folder.join("ca.crt")).roots().unwrap()
}

/// A client that shows the certificate of this name.
fn shows(folder: &Path, name: &str) -> ClientConfig {
    let path = |end| folder.join(format!("{name}.{end}"));
    let identity = Identity::load(pem(&path("crt")), pem(&path("key"))).unwrap();
    tls::client(identity, roots(folder)).unwrap()
}

/// Asks over TLS; the status and the body, or why there is no answer.
async fn ask(
    tls: &ClientConfig,
    agents: SocketAddr,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<(u16, Value), String> {
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_only()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let request = Request::builder()
        .method(method)
        .uri(format!("https://{agents}{path}"))
        .header("content-type", "application/json")
        .body(Full::from(
            body.map(|body| body.to_string()).unwrap_or_default(),
        ))
        .unwrap();
    let answer = client
        .request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
    Ok((status, body))
}

/// A control plane that serves agents, with certificates in the folder.
fn start(folder: &Path) -> (ControlPlane, SocketAddr) {
    prepare(folder);
    let authority = Authority::new(folder, "ca");
    authority.sign("control", &["127.0.0.1"]);
    authority.sign("seoul", &["seoul"]);
    Authority::new(folder, "strangers").sign("forged", &["seoul"]);
    let mut more = vec!["--agents".to_owned(), "127.0.0.1:0".to_owned()];
    for (flag, file) in [
        ("--tls-cert", "control.crt"),
        ("--tls-key", "control.key"),
        ("--client-ca", "ca.crt"),
    ] {
        more.extend([flag.to_owned(), folder.join(file).display().to_string()]);
    }
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    let program = ControlPlane::start_with(folder, None, &more);
    let agents = program.agents.unwrap();
    (program, agents)
}

/// The service at its address, and where its packets are to go.
fn here(priority: Option<u8>) -> Value {
    let at = |priority| json!({ "address": ROUTER, "priority": priority, "weight": 100 });
    let all: Vec<_> = priority.map(at).into_iter().collect();
    json!({ "address": "10.112.0.1", "locators": all })
}

const ROUTER: &str = "10.0.0.11";

const CART: &str = "/v1/services/shop/cart?cluster=seoul";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_registers_its_tunnel_router_and_takes_that_back() {
    let folder = tempfile::tempdir().unwrap();
    let (program, agents) = start(folder.path());
    let seoul = shows(folder.path(), "seoul");
    let cart = json!({ "cluster": "seoul", "namespace": "shop", "name": "cart" });
    let given = ask(&seoul, agents, Method::POST, "/v1/services", Some(cart)).await;
    let (status, given) = given.unwrap();
    assert_eq!((status, &given["address"]), (200, &json!("10.112.0.1")));

    let mut client = Xtr::new(program.control, 3, 33);
    let router = ROUTER.parse().unwrap();
    let eid: Eid = "10.112.0.1".parse().unwrap();
    let put = async |body| {
        let answer = ask(&seoul, agents, Method::PUT, CART, Some(body)).await;
        answer.unwrap()
    };
    let list = async || {
        let answer = ask(&seoul, agents, Method::GET, "/v1/services", None).await;
        answer.unwrap().1
    };
    assert_eq!(put(here(Some(1))).await.0, 200);
    let listed = list().await;
    assert_eq!(listed[0]["registered"], json!(["seoul"]), "{listed}");
    client.control.want(eid, std::time::Instant::now());
    client.until_route(Some(router));
    assert_eq!(put(here(Some(254))).await.0, 200);
    assert_eq!(put(here(None)).await.0, 200);
    client.until_route(None);
    let listed = list().await;
    assert_eq!(
        (&listed[0]["registered"], &listed[0]["clusters"]),
        (&json!([]), &json!(["seoul"])),
        "it keeps its address"
    );

    // Another address than its own, and a locator that no packet can go to.
    let other = json!({ "address": "10.112.0.9", "locators": [] });
    assert_eq!(put(other).await.0, 409);
    let nowhere = json!({ "address": "224.0.0.1", "priority": 1, "weight": 1 });
    let nowhere = json!({ "address": "10.112.0.1", "locators": [nowhere] });
    let (status, problem) = put(nowhere).await;
    assert_eq!(status, 422, "{problem}");
    let pools = ask(&seoul, agents, Method::GET, "/v1/pools", None).await;
    let wanted = json!([{ "name": "default", "prefix": "10.112.0.0/16" }]);
    assert_eq!(pools.unwrap().1, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_speaks_for_the_cluster_that_its_certificate_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (program, agents) = start(folder);
    let seoul = shows(folder, "seoul");
    let beat = |agent: &str| json!({ "agent": agent, "interval_ms": 60_000 });
    let busan = json!({ "cluster": "busan", "namespace": "shop", "name": "cart" });
    let conflict = json!({ "cluster": "busan", "address": "10.112.0.1" });
    let foreign = "/v1/services/shop/cart?cluster=busan";
    for (method, path, body) in [
        (Method::POST, "/v1/services", Some(busan)),
        (Method::POST, "/v1/conflicts", Some(conflict)),
        (
            Method::POST,
            "/v1/clusters/busan/heartbeat",
            Some(beat("one")),
        ),
        (Method::PUT, foreign, Some(here(Some(1)))),
        (Method::DELETE, foreign, None),
    ] {
        let (status, problem) = ask(&seoul, agents, method, path, body).await.unwrap();
        assert_eq!(status, 403, "{path}: {problem}");
    }
    // A second one of the same name is refused while the first is heard.
    let path = "/v1/clusters/seoul/heartbeat";
    for (agent, wanted) in [("one", 200), ("two", 409)] {
        let answer = ask(&seoul, agents, Method::POST, path, Some(beat(agent))).await;
        assert_eq!(answer.unwrap().0, wanted, "{agent}");
    }
    let metrics = reqwest::get(format!("http://{}/metrics", program.ops))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    for counted in [
        "event=\"api_foreign_cluster\"} 5",
        "event=\"api_second_agent\"} 1",
    ] {
        assert!(metrics.contains(counted), "{counted}: {metrics}");
    }

    // Nobody's certificate, and somebody else's.
    let nobody = tls::client_of_nobody(RootCertStore::clone(&roots(folder))).unwrap();
    for stranger in [nobody, shows(folder, "forged")] {
        let refused = ask(&stranger, agents, Method::GET, "/v1/services", None).await;
        assert!(refused.is_err(), "{refused:?}");
    }
}
