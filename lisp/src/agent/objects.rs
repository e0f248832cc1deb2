//! Services and `EndpointSlices` as the API server tells them, read as far as the agent needs them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use crate::services::ServiceName;

/// The label of Services whose address is to be the same in every cluster; its value is `true`.
pub(crate) const SHARED_LABEL: &str = "xrbench.io/shared";

/// The annotation that says how the pods of a Service are probed.
pub(crate) const PROBE_ANNOTATION: &str = "xrbench.io/probe";

/// The annotation that names the pool which the address of a Service is from.
pub(crate) const POOL_ANNOTATION: &str = "xrbench.io/pool";

/// The label of an `EndpointSlice` that names its Service.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// The longest path of a probe.
const MOST_PATH_BYTES: usize = 256;

/// How the pods of a Service are probed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    /// A connection is opened; to the first port of TCP that the Service has, if none is named.
    Tcp(Option<u16>),
    /// A page is asked for over HTTP.
    Http { port: u16, path: String },
    /// No probe: Kubernetes' own readiness is all that counts.
    #[default]
    None,
}

/// A text that says no way of probing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no probe: use tcp, tcp:8554, http:8080/ready or none")]
pub(crate) struct NoProbe(String);

impl FromStr for ProbeKind {
    type Err = NoProbe;

    fn from_str(text: &str) -> Result<Self, NoProbe> {
        let wrong = || NoProbe(text.chars().take(64).collect());
        let port = |text: &str| text.parse().ok().filter(|port: &u16| *port > 0);
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match (kind, rest) {
            ("none", "") => Ok(Self::None),
            ("tcp", "") => Ok(Self::Tcp(None)),
            ("tcp", rest) => port(rest)
                .map(|port| Self::Tcp(Some(port)))
                .ok_or_else(wrong),
            ("http", rest) => {
                let at = rest.find('/').unwrap_or(rest.len());
                let (number, path) = rest.split_at(at);
                let is_path = path.len() <= MOST_PATH_BYTES
                    && path.bytes().all(|byte| byte.is_ascii_graphic());
                let port = port(number).filter(|_| is_path).ok_or_else(wrong)?;
                let path = if path.is_empty() { "/" } else { path }.to_owned();
                Ok(Self::Http { port, path })
            }
            _ => Err(wrong()),
        }
    }
}

/// A Service of Kubernetes, as far as the agent reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenService {
    /// The Service has the label that shares it.
    pub(crate) is_shared: bool,
    /// The Service's address; none of a headless one, of a name for another, and of one that has none yet.
    pub(crate) address: Option<IpAddr>,
    /// The way in which the Service wants to be probed; the agent's where it does not say.
    pub(crate) probe: Option<ProbeKind>,
}

/// An `EndpointSlice`: some of a Service's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenSlice {
    pub(crate) service: ServiceName,
    /// Addresses, and whether each is ready to serve.
    pub(crate) endpoints: Vec<(IpAddr, bool)>,
    /// The first port of TCP.
    pub(crate) port: Option<u16>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceObject {
    metadata: Metadata,
    spec: ServiceSpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceSpec {
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    r#type: Option<String>,
}

/// The address that a Service is to have, by its specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressOf {
    /// The Service is a name for another, and has no address.
    ExternalName,
    /// The Service is headless: it stands for its pods' own addresses.
    Headless,
    /// The Service has no address yet.
    Open,
    Address(IpAddr),
}

/// A Service of a request, as far as its address goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceObjectView {
    pub(crate) is_shared: bool,
    pub(crate) address: AddressOf,
    pub(crate) annotated: Option<String>,
}

/// Reads a Service; what is missing or of another kind is as if it was not there.
pub(crate) fn read_service(object: &Value) -> ServiceObjectView {
    let object = ServiceObject::deserialize(object).unwrap_or_default();
    let address = match object.spec.cluster_ip.as_deref() {
        _ if object.spec.r#type.as_deref() == Some("ExternalName") => AddressOf::ExternalName,
        Some("None") => AddressOf::Headless,
        Some(text) => text.parse().map_or(AddressOf::Open, AddressOf::Address),
        None => AddressOf::Open,
    };
    let Metadata {
        labels,
        annotations,
    } = object.metadata;
    let label = labels.as_ref().and_then(|all| all.get(SHARED_LABEL));
    ServiceObjectView {
        is_shared: label.is_some_and(|value| value == "true"),
        address,
        annotated: annotations.and_then(|mut all| all.remove(PROBE_ANNOTATION)),
    }
}

impl SeenService {
    /// Reads a Service. An annotation that says no probe is as if there was none, and comes back with it.
    pub(crate) fn read(object: &Value) -> (Self, Option<NoProbe>) {
        let view = read_service(object);
        let probe = view.annotated.map(|text| text.parse::<ProbeKind>());
        let (probe, wrong) = match probe {
            Some(Ok(probe)) => (Some(probe), None),
            Some(Err(wrong)) => (None, Some(wrong)),
            None => (None, None),
        };
        let seen = Self {
            is_shared: view.is_shared,
            address: match view.address {
                AddressOf::Address(address) => Some(address),
                _ => None,
            },
            probe,
        };
        (seen, wrong)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SliceObject {
    metadata: Metadata,
    endpoints: Option<Vec<EndpointObject>>,
    ports: Option<Vec<PortObject>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EndpointObject {
    addresses: Vec<String>,
    conditions: Conditions,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PortObject {
    port: Option<u16>,
    protocol: Option<String>,
}

impl SeenSlice {
    /// Reads an `EndpointSlice` of `discovery.k8s.io/v1` or `v1beta1`, in this namespace; none where it is of no Service.
    pub(crate) fn read(namespace: &str, object: &Value) -> Option<Self> {
        let object = SliceObject::deserialize(object).ok()?;
        let labels = object.metadata.labels?;
        let name = labels.get(SERVICE_LABEL)?;
        let endpoints = object.endpoints.unwrap_or_default().into_iter();
        let endpoints = endpoints.filter_map(|one| {
            // "consumers must not interpret more than the first"; a missing condition is to be read as ready.
            let address = one.addresses.first()?.parse().ok()?;
            Some((address, one.conditions.ready.unwrap_or(true)))
        });
        let mut ports = object.ports.unwrap_or_default().into_iter();
        let tcp = ports.find(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
        Some(Self {
            service: ServiceName::new(namespace, name).ok()?,
            endpoints: endpoints.collect(),
            port: tcp.and_then(|port| port.port),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn ways_of_probing_are_read() {
        let http = |port, path: &str| ProbeKind::Http {
            port,
            path: path.into(),
        };
        for (text, probe) in [
            ("tcp", ProbeKind::Tcp(None)),
            ("tcp:8554", ProbeKind::Tcp(Some(8554))),
            ("http:80", http(80, "/")),
            ("http:8080/ready?x=1", http(8080, "/ready?x=1")),
            ("none", ProbeKind::None),
        ] {
            assert_eq!(text.parse(), Ok(probe), "{text}");
        }
        for text in [
            "",
            "tcp:0",
            "tcp:x",
            "http",
            "http:/x",
            "http:80/a b",
            "none:1",
            "udp:5",
        ] {
            assert!(text.parse::<ProbeKind>().is_err(), "{text}");
        }
    }

    #[test]
    fn services_are_read() {
        let read = |spec: Value, labels: Value| {
            let object = json!({ "metadata": { "labels": labels }, "spec": spec });
            let view = read_service(&object);
            (view.is_shared, view.address)
        };
        let shared = json!({ SHARED_LABEL: "true" });
        let address = AddressOf::Address([10, 0, 0, 1].into());
        assert_eq!(
            read(json!({ "clusterIP": "10.0.0.1" }), shared.clone()),
            (true, address)
        );
        assert_eq!(
            read(json!({ "clusterIP": "" }), json!({})),
            (false, AddressOf::Open)
        );
        assert_eq!(
            read(json!({}), json!({ SHARED_LABEL: "false" })),
            (false, AddressOf::Open)
        );
        assert_eq!(
            read(json!({ "clusterIP": "None" }), json!(null)),
            (false, AddressOf::Headless),
            "labels of null are no labels"
        );
        assert_eq!(
            read(json!({ "clusterIP": "None" }), json!({})).1,
            AddressOf::Headless
        );
        assert_eq!(
            read(
                json!({ "type": "ExternalName", "externalName": "a.b" }),
                shared
            )
            .1,
            AddressOf::ExternalName
        );
        let object = json!({ "metadata": { "annotations": { PROBE_ANNOTATION: "ping" } } });
        let (seen, wrong) = SeenService::read(&object);
        assert_eq!(seen.probe, None);
        assert!(wrong.unwrap().to_string().contains("\"ping\""));
    }

    #[test]
    fn slices_of_both_versions_are_read() {
        let newer = json!({
            "metadata": { "labels": { SERVICE_LABEL: "cart" } },
            "addressType": "IPv4",
            "endpoints": [
                { "addresses": ["10.1.0.2"], "conditions": { "ready": true, "serving": true, "terminating": false } },
                { "addresses": ["10.1.0.3"], "conditions": { "ready": false, "serving": true, "terminating": true } },
                { "addresses": ["10.1.0.4"], "conditions": {} },
            ],
            "ports": [{ "name": "rtp", "port": 5004, "protocol": "UDP" }, { "name": "rtsp", "port": 8554, "protocol": "TCP" }],
        });
        let slice = SeenSlice::read("shop", &newer).unwrap();
        assert_eq!(slice.service.to_string(), "shop/cart");
        assert_eq!(slice.port, Some(8554));
        let ready: Vec<_> = slice.endpoints.iter().map(|(_, ready)| *ready).collect();
        assert_eq!(ready, [true, false, true]);
        let older = json!({
            "metadata": { "labels": { SERVICE_LABEL: "cart" } },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": ["10.1.0.2"], "conditions": { "ready": true }, "topology": { "kubernetes.io/hostname": "n" } }],
            "ports": null,
        });
        let slice = SeenSlice::read("shop", &older).unwrap();
        assert_eq!((slice.endpoints.len(), slice.port), (1, None));
        assert_eq!(SeenSlice::read("shop", &json!({ "endpoints": null })), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(ProbeKind::Http { path, .. }) = text.parse() {
                prop_assert!(path.starts_with('/') && path.is_ascii());
            }
        }
    }
}
