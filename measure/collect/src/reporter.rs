//! Who reports under a name. Pure: time is an argument.
//!
//! A name is the token's that it was first reported with. Without one it is the process's that reports under it, until that
//! one was silent for [`SILENCE`]: somebody else who posts under it is refused, and told so, instead of spoiling what the
//! first one reports.

use std::time::Duration;

use service::Secret;

/// How long a name that carries no token is kept for a process that reports nothing.
pub const SILENCE: Duration = Duration::from_secs(10);

/// Reports that one client may post at once: what it kept while the collector was away, and more.
const BURST: u64 = 65_536;

/// Reports that one client may post each second, for as long as it likes: four times the fastest stream's.
const PER_SECOND: u64 = 2_000;

/// What a post shows, beside the name that it is under.
#[derive(Clone, Debug, Default)]
pub struct Reporter {
    /// The token that proves who posts.
    pub token: Option<Secret>,
    /// What tells one process from another that uses the same name: the value of `XR-Process`.
    pub process: Option<Secret>,
}

/// The right to report under one name, and how much.
#[derive(Debug)]
pub(super) struct Holder {
    reporter: Reporter,
    heard: Duration,
    /// Whether it ever reported a frame.
    pub(super) has_reported: bool,
    allowance: u64,
    allowed_at: Duration,
}

impl Holder {
    pub(super) const fn new(reporter: Reporter, now: Duration) -> Self {
        Self {
            reporter,
            heard: now,
            has_reported: false,
            allowance: BURST,
            allowed_at: now,
        }
    }

    /// Whether `reporter` may report under the name.
    pub(super) fn is_open_to(&self, reporter: &Reporter, now: Duration) -> bool {
        if self.reporter.token.is_some() {
            return self.reporter.token == reporter.token;
        }
        self.reporter.process == reporter.process || self.silent_for(now) >= SILENCE
    }

    /// `reporter`, to whom the name is open, posts under it.
    pub(super) fn hear(&mut self, reporter: &Reporter, now: Duration) {
        self.reporter = reporter.clone();
        self.heard = now;
    }

    /// How long nobody has posted under the name.
    pub(super) fn silent_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard)
    }

    /// Whether so many reports are within what one client may post; if they are, they are counted.
    pub(super) fn allows(&mut self, reports: u64, now: Duration) -> bool {
        let passed = now.saturating_sub(self.allowed_at).as_millis();
        let more = u64::try_from(passed)
            .unwrap_or(u64::MAX)
            .saturating_mul(PER_SECOND)
            / 1_000;
        if more > 0 {
            self.allowance = self.allowance.saturating_add(more).min(BURST);
            self.allowed_at = now;
        }
        let allowed = self.allowance >= reports;
        if allowed {
            self.allowance -= reports;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(text: &str) -> Reporter {
        Reporter {
            process: Some(Secret::new(text)),
            ..Reporter::default()
        }
    }

    fn token(text: &str, process: &str) -> Reporter {
        Reporter {
            token: Some(Secret::new(text)),
            process: Some(Secret::new(process)),
        }
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_name_is_its_process_s_until_that_one_is_silent() {
        let mut holder = Holder::new(process("one"), at(0));
        holder.hear(&process("one"), at(5));
        for stranger in [process("two"), Reporter::default(), token("t", "two")] {
            assert!(!holder.is_open_to(&stranger, at(14)), "{stranger:?}");
            assert!(holder.is_open_to(&stranger, at(15)), "{stranger:?}");
        }
        assert!(holder.is_open_to(&process("one"), at(14)));
    }

    #[test]
    fn a_token_keeps_its_name_across_processes_and_silence() {
        let mut holder = Holder::new(token("t", "one"), at(0));
        holder.hear(&token("t", "two"), at(1));
        assert!(holder.is_open_to(&token("t", "three"), at(1)));
        for stranger in [token("u", "two"), process("two"), Reporter::default()] {
            assert!(!holder.is_open_to(&stranger, at(100_000)), "{stranger:?}");
        }
    }

    #[test]
    fn what_one_client_posts_is_bounded_over_time() {
        let mut holder = Holder::new(Reporter::default(), at(0));
        assert!(holder.allows(BURST, at(0)));
        assert!(!holder.allows(1, at(0)));
        assert!(holder.allows(PER_SECOND, at(1)) && !holder.allows(1, at(1)));
        assert!(!holder.allows(BURST + 1, at(1_000_000)));
        let mut taken = 0;
        for ms in 0..10_000 {
            let now = at(1_000_000) + Duration::from_millis(ms);
            taken += u64::from(holder.allows(20, now)) * 20;
        }
        let most = BURST + 10 * PER_SECOND;
        assert!((most - 100..=most).contains(&taken), "{taken} of {most}");
    }
}
