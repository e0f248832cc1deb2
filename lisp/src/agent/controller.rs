//! The control plane, asked over HTTP: with mutual TLS, or with a token on this machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request as HttpRequest, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::ConfigError;
use service::http::Problem;

use super::admission::{Answered, Question};
use super::args::ControlArgs;
use super::machine::{Locators, Request, Result as Outcome};
use crate::control::{Allocated, Heard, Listed, PoolView};
use crate::services::ServiceName;
use crate::wire::{Locator, PRIORITY_LAST};

/// How long the control plane may take to answer a question of the webhook, or a request about a Service.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer: a list of tens of thousands of services.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// How long an idle connection is kept: shorter than the control plane keeps it.
const IDLE: Duration = Duration::from_secs(5);

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The reason why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The control plane says no.
    #[error("{status}: {why}")]
    Refused { status: u16, why: String },
    /// The control plane was not reached, or its answer makes no sense.
    #[error("{0}")]
    Failed(String),
}

/// The control plane as one cluster's agent asks it.
pub(crate) struct Controller {
    http: ArcSwap<Http>,
    args: ControlArgs,
    base: String,
    authorization: Option<HeaderValue>,
    cluster: String,
    /// The name of this agent, which is the same after a restart.
    agent: String,
    locators: Vec<Locator>,
}

fn client(args: &ControlArgs) -> Result<Http, ConfigError> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(PATIENCE));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(args.tls()?)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
    Ok(client.build(connector))
}

impl Controller {
    /// A control plane that nothing was asked of yet.
    pub(crate) fn new(
        args: ControlArgs,
        cluster: String,
        agent: String,
        locators: Vec<Locator>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            http: ArcSwap::from_pointee(client(&args)?),
            base: args.base()?,
            authorization: args.authorization()?,
            args,
            cluster,
            agent,
            locators,
        })
    }

    /// Reads certificate and key again, which may be new ones in the same files.
    pub(crate) fn reload(&self) -> Result<(), ConfigError> {
        self.http.store(Arc::new(client(&self.args)?));
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        patience: Duration,
    ) -> Result<Bytes, Trouble> {
        let failed = |error: &dyn std::error::Error| Trouble::Failed(told(error));
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|error| failed(&error))?;
        let mut request = HttpRequest::builder().method(method).uri(uri);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        let request = request
            .body(Full::new(body))
            .map_err(|error| failed(&error))?;
        let http = self.http.load_full();
        let exchange = async {
            let answer = http
                .request(request)
                .await
                .map_err(|error| failed(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
            let body = body.map_err(|error| failed(error.as_ref()))?.to_bytes();
            if status.is_success() {
                return Ok(body);
            }
            Err(Trouble::Refused {
                status: status.as_u16(),
                why: Problem::told(&body),
            })
        };
        let late = |_| Trouble::Failed(format!("no answer in {} ms", patience.as_millis()));
        tokio::time::timeout(patience, exchange)
            .await
            .map_err(late)?
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Trouble> {
        read(&self.send(Method::GET, path, None, PATIENCE * 5).await?)
    }

    /// Says that the cluster is there, and will be again within the interval.
    pub(crate) async fn beat(
        &self,
        interval: Duration,
        patience: Duration,
    ) -> Result<Heard, Trouble> {
        let path = format!("/v1/clusters/{}/heartbeat", self.cluster);
        let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        let body = json!({ "agent": self.agent, "interval_ms": interval_ms });
        read(&self.send(Method::POST, &path, Some(body), patience).await?)
    }

    /// Prefixes that addresses are given from.
    pub(crate) async fn pools(&self) -> Result<Vec<IpNet>, Trouble> {
        let pools: Vec<PoolView> = self.get("/v1/pools").await?;
        Ok(pools.iter().map(|pool| pool.prefix.prefix()).collect())
    }

    /// Services that the control plane counts this cluster among.
    pub(crate) async fn own(&self) -> Result<Vec<ServiceName>, Trouble> {
        let all: Vec<Listed> = self.get("/v1/services").await?;
        let own = all
            .into_iter()
            .filter(|one| one.clusters.contains(&self.cluster));
        Ok(own.map(|one| one.allocated.service).collect())
    }

    /// Asks for an address, as a webhook has to.
    pub(crate) async fn ask(&self, question: &Question) -> Answered {
        let body = json!({
            "cluster": self.cluster,
            "namespace": question.service.namespace(),
            "name": question.service.name(),
            "pool": question.pool,
            "dry_run": question.dry_run,
        });
        let answer = self
            .send(Method::POST, "/v1/services", Some(body), PATIENCE)
            .await;
        match answer.and_then(|body| read::<Allocated>(&body)) {
            Ok(allocated) => Answered::Address(allocated.address),
            Err(Trouble::Refused { status, why }) if matches!(status, 400 | 404 | 409 | 507) => {
                Answered::Refused { status, why }
            }
            Err(trouble) => Answered::Not(format!("the control plane: {trouble}")),
        }
    }

    /// Makes a request about a Service.
    pub(crate) async fn request(&self, service: &ServiceName, request: Request) -> Outcome {
        let cluster = &self.cluster;
        let path = format!(
            "/v1/services/{}/{}?cluster={cluster}",
            service.namespace(),
            service.name()
        );
        let (method, path, body) = match request {
            Request::Set(address, locators) => {
                (Method::PUT, path, Some(self.here(address, locators)))
            }
            Request::Release => (Method::DELETE, path, None),
            Request::Conflict(address) => {
                let body = json!({ "cluster": cluster, "address": address });
                (Method::POST, "/v1/conflicts".to_owned(), Some(body))
            }
        };
        match self.send(method, &path, body, PATIENCE).await {
            Ok(_) => Outcome::Done,
            Err(Trouble::Refused { status: 409, why }) => {
                tracing::warn!(%service, ?request, "the address is not the Service's: {why}");
                Outcome::Taken
            }
            Err(trouble) => {
                tracing::warn!(%service, ?request, "the control plane: {trouble}");
                Outcome::Failed
            }
        }
    }

    fn here(&self, address: IpAddr, locators: Locators) -> Value {
        let all = self.locators.iter().filter(|_| locators != Locators::None);
        let all = all.map(|one| {
            let priority = match locators {
                Locators::Last => PRIORITY_LAST,
                Locators::Here | Locators::None => one.priority,
            };
            json!({ "address": one.address, "priority": priority, "weight": one.weight })
        });
        json!({ "address": address, "locators": all.collect::<Vec<_>>() })
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| Trouble::Failed(format!("it answered: {error}")))
}

/// An error and its causes, in a line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
