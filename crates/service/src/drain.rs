//! Stopping: the first SIGTERM or SIGINT asks, everything in flight gets a bounded grace, a second signal ends at once.

use std::future::{self, Future};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::logs;

/// How long a service may take from the signal to its end.
pub const GRACE: Duration = Duration::from_secs(3);

/// What is kept of [`GRACE`] for the end of the process itself, after everything was drained.
const LAST_STEPS: Duration = Duration::from_millis(400);

/// The least that anything gets to drain, however late it is.
const LEAST: Duration = Duration::from_millis(50);

/// Something that a service cannot do without has ended, by a panic that stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} ended by itself, without which this program is of no use; the log above says why")]
pub struct EndedEarly(pub &'static str);

/// Fires once, when the process is to stop. Clones fire together.
///
/// Everything that drains after it shares one deadline, so that two slow ends do not add up to more than [`GRACE`]:
/// see [`Shutdown::grace`].
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    token: CancellationToken,
    fired: Arc<OnceLock<Instant>>,
    /// The one whose deadline counts for this one too.
    leader: Option<Arc<OnceLock<Instant>>>,
}

impl Shutdown {
    /// One that fires only when [`Shutdown::begin`] is called.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that fires at the first SIGTERM or SIGINT. The second such signal ends the process at once.
    ///
    /// Must be called within a tokio runtime; fails when the signals cannot be caught.
    pub fn from_signals() -> io::Result<Self> {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let fired = shutdown.clone();
        tokio::spawn(async move {
            let first = next(&mut term, &mut int).await;
            tracing::info!(signal = first.0, "stopping; a second signal ends at once");
            fired.begin();
            let second = next(&mut term, &mut int).await;
            tracing::warn!(signal = second.0, "second signal: ending without draining");
            logs::finish("");
            end(128 + second.1);
        });
        Ok(shutdown)
    }

    /// Begins the shutdown.
    pub fn begin(&self) {
        // Only the first time counts.
        let _ = self.fired.set(Instant::now());
        self.token.cancel();
    }

    /// Whether it has fired.
    pub fn has_fired(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it fires.
    pub async fn fired(&self) {
        self.token.cancelled().await;
    }

    /// Waits until it fires; an error if one of `tasks`, which are to live as long, ends before.
    pub async fn fired_while(
        &self,
        tasks: &mut [(&'static str, &mut JoinHandle<()>)],
    ) -> Result<(), EndedEarly> {
        let one_ends = future::poll_fn(|context| {
            let ended = tasks.iter_mut().find_map(|(name, task)| {
                let ended = Pin::new(task).poll(context).is_ready();
                ended.then_some(*name)
            });
            ended.map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            // Tasks that end by the shutdown do not end early.
            biased;
            () = self.fired() => Ok(()),
            name = one_ends => Err(EndedEarly(name)),
        }
    }

    /// One that fires with this one, and can be fired alone.
    #[must_use]
    pub fn child(&self) -> Self {
        self.follower(self.token.child_token())
    }

    /// One that is fired by itself alone, later than this one, and drains by this one's deadline.
    #[must_use]
    pub fn later(&self) -> Self {
        self.follower(CancellationToken::new())
    }

    fn follower(&self, token: CancellationToken) -> Self {
        let leader = self.leader.as_ref().unwrap_or(&self.fired);
        Self {
            token,
            fired: Arc::default(),
            leader: Some(Arc::clone(leader)),
        }
    }

    /// Waits for `work` to end, at most `limit` and not beyond the deadline that everything shares that drains after the
    /// shutdown; past it, warns that `what` was cut off, and returns none.
    pub async fn grace<T>(
        &self,
        what: &str,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let leader = self.leader.as_ref().and_then(|leader| leader.get());
        let begun = leader.or_else(|| self.fired.get());
        let left = begun.map_or(limit, |begun| {
            GRACE.saturating_sub(LAST_STEPS + begun.elapsed())
        });
        grace(what, limit.min(left.max(LEAST)), work).await
    }
}

/// Waits for `work` to end, at most `limit`; past it, warns that `what` was cut off, and returns none.
pub async fn grace<T>(what: &str, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let done = tokio::time::timeout(limit, work).await.ok();
    if done.is_none() {
        tracing::warn!(
            what,
            limit_ms = limit.as_millis(),
            "did not drain within its grace; cut off"
        );
    }
    done
}

async fn next(
    term: &mut tokio::signal::unix::Signal,
    int: &mut tokio::signal::unix::Signal,
) -> (&'static str, i32) {
    tokio::select! {
        _ = term.recv() => ("SIGTERM", 15),
        _ = int.recv() => ("SIGINT", 2),
    }
}

#[expect(
    clippy::exit,
    reason = "the second signal asks for exactly this: no destructor, no flush"
)]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_before_the_shutdown_is_named() {
        let shutdown = Shutdown::new();
        let mut lives = tokio::spawn(future::pending());
        let mut dies = tokio::spawn(async { panic!("as a test wants it") });
        let tasks = &mut [("one", &mut lives), ("the other", &mut dies)];
        let ended = shutdown.fired_while(tasks).await;
        assert_eq!(ended, Err(EndedEarly("the other")));
        let until = shutdown.clone();
        let mut obeys = tokio::spawn(async move { until.fired().await });
        shutdown.begin();
        let tasks = &mut [("one", &mut lives), ("obeys", &mut obeys)];
        assert_eq!(shutdown.fired_while(tasks).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn grace_is_bounded() {
        assert_eq!(grace("quick", GRACE, async { 7 }).await, Some(7));
        let begun = Instant::now();
        assert_eq!(grace("endless", GRACE, future::pending::<()>()).await, None);
        assert_eq!(begun.elapsed(), GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_ends_do_not_add_up() {
        let shutdown = Shutdown::new();
        let begun = Instant::now();
        shutdown.begin();
        let (early, last) = (shutdown.child(), shutdown.later());
        assert!(early.has_fired() && !last.has_fired());
        last.begin();
        for one in [&shutdown, &early, &last] {
            let cut = one
                .grace("slow", Duration::from_secs(2), future::pending::<()>())
                .await;
            assert_eq!(cut, None);
        }
        assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_child_fires_with_its_parent_but_not_before_it() {
        let parent = Shutdown::new();
        let (one, two) = (parent.child(), parent.child());
        one.begin();
        assert!(one.has_fired() && !parent.has_fired() && !two.has_fired());
        parent.begin();
        two.fired().await;
    }
}
