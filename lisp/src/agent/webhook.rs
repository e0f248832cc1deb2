//! The webhook's port: reviews of the API server, and questions to the control plane.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State as Extract};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use kube::core::DynamicObject;
use kube::core::admission::AdmissionReview;
use service::http::Problem;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::admission::{Answered, Phase, Rules, Step, begin};
use super::clock::{micros, nanos};
use super::controller::Controller;
use super::machine::Input;
use super::metrics::Metrics;
use crate::services::ServiceName;
use crate::told::{Told, monotonic_ns};

/// The longest review: twice the longest object that the API server keeps.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

type Review = AdmissionReview<DynamicObject>;

/// The part of the agent that answers reviews.
pub(crate) struct Desk {
    pub(crate) controller: Arc<Controller>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) inputs: Sender<Input>,
    pub(crate) metrics: Metrics,
    /// Whether it says what it has answered, for whoever measures.
    pub(crate) says: bool,
}

/// The routes of the webhook's port.
pub(crate) fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/mutate", post(mutate))
        .route("/validate", post(validate))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "no such route",
                "this is the admission webhook of xr-lisp agent",
                "the API server posts to /mutate and /validate; metrics are on the ops port",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(desk)
}

async fn mutate(
    Extract(desk): Extract<Arc<Desk>>,
    body: Result<Json<Review>, JsonRejection>,
) -> Response {
    desk.judge(Phase::Mutating, "mutating", body).await
}

async fn validate(
    Extract(desk): Extract<Arc<Desk>>,
    body: Result<Json<Review>, JsonRejection>,
) -> Response {
    desk.judge(Phase::Validating, "validating", body).await
}

impl Desk {
    /// Says that a review of a service was answered; one that the control plane was not asked about is nobody's.
    fn say(&self, begun_ns: u64, asking_ns: u64, service: Option<ServiceName>) {
        if let Some(service) = service.filter(|_| self.says) {
            let at_ns = monotonic_ns();
            Told::Reviewed {
                at_ns,
                begun_ns,
                asking_ns,
                service,
            }
            .say();
        }
    }

    async fn judge(
        &self,
        phase: Phase,
        webhook: &'static str,
        body: Result<Json<Review>, JsonRejection>,
    ) -> Response {
        let request = body
            .map_err(|error| (error.status(), error.body_text()))
            .and_then(|Json(review)| {
                let wrong = |error| (StatusCode::BAD_REQUEST, format!("{error}"));
                review.try_into().map_err(wrong)
            });
        let request = match request {
            Ok(request) => request,
            Err((status, why)) => {
                self.metrics.review(webhook, "malformed");
                let remedy = "an AdmissionReview of admission.k8s.io/v1 is expected";
                return Problem::new(status, "no review", why, remedy).into_response();
            }
        };
        let begun_ns = monotonic_ns();
        let mut asked_for = None;
        let mut asking_ns = 0;
        let mut step = begin(&request, phase, &self.rules.load());
        loop {
            match step {
                Step::Ask(judging) => {
                    let question = judging.question();
                    let asked = Instant::now();
                    let answered = self.controller.ask(question).await;
                    asking_ns += nanos(asked.elapsed());
                    asked_for = Some(question.service.clone());
                    if let (Answered::Address(address), false) = (&answered, question.dry_run) {
                        let took_us = micros(asked.elapsed());
                        tracing::info!(service = %question.service, %address, took_us, "address given");
                        let granted = Input::Granted(question.service.clone());
                        // Whoever has stopped listening is stopping.
                        let _ = self.inputs.send(granted).await;
                    }
                    step = judging.answered(answered);
                }
                Step::Answer(review) => {
                    let response = review.response.as_ref();
                    let outcome = match response {
                        Some(response) if !response.allowed => "denied",
                        Some(response) if response.patch.is_some() => "given",
                        _ => "allowed",
                    };
                    if outcome == "denied" {
                        let why = response.map_or("", |response| response.result.message.as_str());
                        let (namespace, name) = (&request.namespace, &request.name);
                        tracing::warn!(?namespace, name, webhook, "a Service is refused: {why}");
                    }
                    self.metrics.review(webhook, outcome);
                    self.say(begun_ns, asking_ns, asked_for);
                    return Json(*review).into_response();
                }
                Step::Fail(why) => {
                    self.metrics.review(webhook, "failed");
                    tracing::warn!(webhook, "left to the failure policy: {why}");
                    let remedy = "is the control plane running, and reachable from the agent?";
                    let status = StatusCode::SERVICE_UNAVAILABLE;
                    return Problem::new(status, "no judgement", why, remedy).into_response();
                }
            }
        }
    }
}
