//! The agent at work: the machine, and what carries out what it says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use service::Shutdown;
use tokio::sync::mpsc;

use super::clock;
use super::controller::Controller;
use super::machine::{Agent, Done, Input, Locators, Output, Request, Result as Outcome};
use super::metrics::Metrics;
use super::prober::probe;
use super::readiness::{Part, Parts};

/// Inputs that may wait for the machine, which takes them faster than they come.
pub(super) const QUEUE: usize = 4_096;

/// The machine, and what carries out what it says.
pub(super) struct Work {
    pub(super) agent: Agent,
    pub(super) controller: Arc<Controller>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) parts: Parts,
    pub(super) metrics: Metrics,
    pub(super) probe_timeout: Duration,
    /// The function that is told of a request that was done.
    pub(super) tell: fn(&Done),
}

impl Work {
    /// Runs until the shutdown.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, shutdown: &Shutdown) {
        loop {
            while let Some(output) = self.agent.poll() {
                self.carry_out(output);
            }
            let (services, endpoints) = self.agent.sizes();
            self.metrics
                .services
                .set(i64::try_from(services).unwrap_or(i64::MAX));
            self.metrics
                .endpoints
                .set(i64::try_from(endpoints).unwrap_or(i64::MAX));
            let next = self.agent.next_time();
            let next = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::select! {
                () = shutdown.fired() => return,
                () = tokio::time::sleep_until(next.into()) => {}
                Some(input) = inputs.recv() => {
                    if input == Input::Complete {
                        self.parts.set(Part::Objects, None);
                    }
                    self.agent.handle(input, Instant::now());
                }
            }
            self.agent.on_time(Instant::now());
        }
    }

    fn carry_out(&self, output: Output) {
        match output {
            Output::Ask(service, request) => {
                let (controller, inputs) = (Arc::clone(&self.controller), self.inputs.clone());
                let metrics = self.metrics.clone();
                tokio::spawn(async move {
                    let outcome = controller.request(&service, request).await;
                    let label = match outcome {
                        Outcome::Done => "done",
                        Outcome::Taken => "taken",
                        Outcome::Failed => "failed",
                    };
                    metrics.request(label_of(request), label);
                    // Whoever has stopped listening is stopping.
                    let _ = inputs
                        .send(Input::Answered(service, request, outcome))
                        .await;
                });
            }
            Output::Probe(target) => {
                let (inputs, metrics) = (self.inputs.clone(), self.metrics.clone());
                let limit = self.probe_timeout;
                tokio::spawn(async move {
                    let is_answered = probe(&target, limit).await;
                    metrics.probe(is_answered);
                    let _ = inputs.send(Input::Probed(target, is_answered)).await;
                });
            }
            Output::Done(done) => {
                (self.tell)(&done);
                self.log(&done);
            }
        }
    }

    fn log(&self, done: &Done) {
        let ran = |before| matches!(before, Request::Set(_, Locators::Here | Locators::Last));
        let what = match done.request {
            Request::Set(_, Locators::None) if !done.before.is_some_and(ran) => "held",
            request => label_of(request),
        };
        self.metrics.done(
            what,
            done.noticed.as_secs_f64(),
            done.answered.as_secs_f64(),
        );
        tracing::info!(
            service = %done.service,
            noticed_us = clock::micros(done.noticed),
            answered_us = clock::micros(done.answered),
            "{what}"
        );
    }
}

const fn label_of(request: Request) -> &'static str {
    match request {
        Request::Set(_, Locators::Here) => "registered",
        Request::Set(_, Locators::Last) => "draining",
        Request::Set(_, Locators::None) => "withdrawn",
        Request::Release => "released",
        Request::Conflict(_) => "conflict",
    }
}
