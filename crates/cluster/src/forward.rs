//! HTTP to a port of a pod, through the API server's port forwarding: no network policy, Service or node address lies
//! between, and a connection that breaks is opened again.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Portforwarder};

use crate::connect::Cluster;
use crate::fault::{Fault, told};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// As much of a file is asked for at a time.
const PART_BYTES: u64 = 4 << 20;

/// A connection to a port of a pod, forwarded by the API server and opened anew when it breaks.
pub struct Forward {
    cluster: Cluster,
    api: Api<Pod>,
    namespace: String,
    pod: String,
    port: u16,
    connection: Option<(SendRequest<Empty<Bytes>>, Portforwarder)>,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The bytes from where they were asked for; none where the file has no more by now.
    pub bytes: Bytes,
    /// Whether there is such a file.
    pub is_there: bool,
}

impl std::fmt::Debug for Forward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Forward");
        shown.field("pod", &self.pod).field("port", &self.port);
        shown.finish_non_exhaustive()
    }
}

impl Forward {
    /// Names a port of a pod, and opens nothing before the first request.
    pub fn new(cluster: &Cluster, namespace: &str, pod: &str, port: u16) -> Self {
        Self {
            cluster: cluster.clone(),
            api: Api::namespaced(cluster.client().clone(), namespace),
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
            connection: None,
        }
    }

    /// The pod's name.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    /// A file, or what there is of it from a byte on.
    pub async fn get(&mut self, path: &str, from: u64) -> Result<Part, Fault> {
        // One that was kept may have been closed by the other side since.
        let was_kept = self.connection.is_some();
        let mut answer = self.ask_in_time(path, from).await;
        if answer.is_err() && was_kept {
            self.connection = None;
            answer = self.ask_in_time(path, from).await;
        }
        answer.map_err(|why| {
            // What is left of an answer that was given up must not be taken for the next one's.
            self.connection = None;
            let object = format!("Pod {}/{}, port {}", self.namespace, self.pod, self.port);
            let remedy = "Is the pod still there, and may you create pods/portforward?";
            Fault::new(
                self.cluster.name(),
                object,
                format!("GET {path}"),
                why,
                remedy,
            )
        })
    }

    async fn ask_in_time(&mut self, path: &str, from: u64) -> Result<Part, String> {
        let asked = tokio::time::timeout(PATIENCE, self.ask(path, from)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
    }

    async fn ask(&mut self, path: &str, from: u64) -> Result<Part, String> {
        if self
            .connection
            .as_ref()
            .is_none_or(|(sender, _)| sender.is_closed())
        {
            self.connection = Some(self.open().await?);
        }
        let Some((sender, _)) = &mut self.connection else {
            return Err("not connected".to_owned());
        };
        let request = Request::get(path)
            .header(header::HOST, "collector")
            .header(
                header::RANGE,
                format!("bytes={from}-{}", from.saturating_add(PART_BYTES - 1)),
            )
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        sender.ready().await.map_err(|error| told(&error))?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| told(&error))?;
        let status = answer.status();
        let limit = usize::try_from(PART_BYTES).unwrap_or(usize::MAX);
        let body = Limited::new(answer.into_body(), limit).collect().await;
        let bytes = body.map_err(|error| told(&*error))?.to_bytes();
        let part = |bytes, is_there| Ok(Part { bytes, is_there });
        match status {
            // A file of the size of the part, or an answer that is no file.
            StatusCode::OK => part(
                bytes.slice(bytes.len().min(usize::try_from(from).unwrap_or(usize::MAX))..),
                true,
            ),
            StatusCode::PARTIAL_CONTENT => part(bytes, true),
            StatusCode::RANGE_NOT_SATISFIABLE => part(Bytes::new(), true),
            StatusCode::NOT_FOUND => part(Bytes::new(), false),
            other => Err(format!("it answers {other}")),
        }
    }

    async fn open(&self) -> Result<(SendRequest<Empty<Bytes>>, Portforwarder), String> {
        let forwarder = self.api.portforward(&self.pod, &[self.port]).await;
        let mut forwarder = forwarder.map_err(|error| told(&error))?;
        let stream = forwarder
            .take_stream(self.port)
            .ok_or("no stream was opened")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| told(&error))?;
        // It ends with its stream; the error is the request's.
        tokio::spawn(async move { drop(connection.await) });
        Ok((sender, forwarder))
    }
}
