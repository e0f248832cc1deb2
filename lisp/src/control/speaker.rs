//! Whom a request to the API speaks for: anybody with the token, or the clusters that a certificate names.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State as Extract};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use rustls::client::verify_server_name;
use rustls::pki_types::ServerName;
use rustls::server::ParsedCertificate;
use service::http::{PeerCertificate, Problem};

use super::refusals::visible_name;
use super::state::State;

/// The authority with which a request comes.
#[derive(Clone, Debug)]
pub(super) enum Speaker {
    /// The request has shown the token, if there is one.
    Anyone,
    /// The request has shown a certificate, which names clusters as other certificates name servers.
    Certified(PeerCertificate),
}

impl Speaker {
    fn may_speak_for(&self, cluster: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Certified(PeerCertificate(certificate)) => {
                let name = ServerName::try_from(cluster);
                let parsed = ParsedCertificate::try_from(certificate);
                match (name, parsed) {
                    (Ok(name), Ok(parsed)) => verify_server_name(&parsed, &name).is_ok(),
                    _ => false,
                }
            }
        }
    }

    /// The Site-ID of a cluster that the request may speak for.
    pub(super) fn site(&self, state: &Arc<State>, cluster: &str) -> Result<u64, Problem> {
        if !self.may_speak_for(cluster) {
            state.with_server(|server, _| server.count("api_foreign_cluster"));
            let shown = visible_name(cluster);
            tracing::warn!(cluster = %shown, "a request for a cluster that its certificate does not name");
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "another's cluster",
                format!("the certificate does not name cluster {shown:?}"),
                "use the certificate whose subject alternative names have the cluster as a DNS name",
            ));
        }
        let site = state.sites.get(cluster).copied();
        site.ok_or_else(|| {
            Problem::new(
                StatusCode::NOT_FOUND,
                "unknown cluster",
                format!("there is no site {:?}", visible_name(cluster)),
                "give the cluster a [[site]] with its name in the control plane's file",
            )
        })
    }
}

/// Finds out whom a request speaks for, and refuses those that speak for nobody.
pub(super) async fn identify(
    Extract(state): Extract<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let shown = request.extensions().get::<PeerCertificate>();
    let speaker = if let Some(certificate) = shown {
        Speaker::Certified(certificate.clone())
    } else {
        check_token(&state, &request)?;
        Speaker::Anyone
    };
    request.extensions_mut().insert(speaker);
    Ok(next.run(request).await)
}

fn check_token(state: &Arc<State>, request: &Request) -> Result<(), Problem> {
    let Some(token) = &state.token else {
        return Ok(());
    };
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    if given.is_some_and(|given| token.matches(given.trim())) {
        return Ok(());
    }
    state.with_server(|server, _| server.count("api_wrong_token"));
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    tracing::warn!(peer = ?peer.map(|peer| peer.0), "a request with a wrong token");
    Err(Problem::new(
        StatusCode::UNAUTHORIZED,
        "wrong token",
        "this control plane takes requests with its own token alone",
        "send it as `authorization: Bearer TOKEN`; the control plane has it from --token-file (XR_TOKEN_FILE) or XR_TOKEN",
    ))
}
