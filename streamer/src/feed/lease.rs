//! Who may feed a name. Pure: time is an argument.
//!
//! ```text
//!            claim                 no packet for a while
//!   gone ------------> live <--------------------------> stalled
//!    ^                  |            a packet               |
//!    +------------------+-----------------------------------+
//!        release                                  release, or another feed claims the name
//! ```

use std::time::{Duration, Instant};

use service::Secret;

/// What a name's feed is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Packets arrive.
    Live,
    /// A feed is connected and sends nothing.
    Stalled,
    /// No feed is connected; viewers may wait for the next one.
    Gone,
}

impl State {
    pub const ALL: [Self; 3] = [Self::Live, Self::Stalled, Self::Gone];

    /// The word that metrics and listings use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Stalled => "stalled",
            Self::Gone => "gone",
        }
    }
}

/// The name has a living feed, and the claim does not carry its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is taken by another feed")]
pub struct Taken;

/// The right to feed one name.
#[derive(Debug)]
pub struct Lease {
    holder: Option<Holder>,
    claims: u64,
    /// When a feed last held the name.
    used: Instant,
    stall: Duration,
}

#[derive(Debug)]
struct Holder {
    token: Option<Secret>,
    heard: Instant,
}

impl Lease {
    /// A name that nobody feeds; one whose feed sends nothing for `stall` may be taken over.
    pub const fn new(now: Instant, stall: Duration) -> Self {
        Self {
            holder: None,
            claims: 0,
            used: now,
            stall,
        }
    }

    /// Takes the name, and returns the number of the claim: every older one is over.
    ///
    /// A living feed is replaced only by one that carries the same token, which is how a renderer that lost its
    /// connection comes back before the streamer has noticed.
    pub fn claim(&mut self, token: Option<Secret>, now: Instant) -> Result<u64, Taken> {
        if let Some(holder) = &self.holder {
            let same =
                matches!((&holder.token, &token), (Some(held), Some(given)) if held == given);
            if !same && self.state(now) == State::Live {
                return Err(Taken);
            }
        }
        self.holder = Some(Holder { token, heard: now });
        self.claims += 1;
        self.used = now;
        Ok(self.claims)
    }

    /// A packet of claim `claim` came. Whether that claim still holds the name.
    pub fn heard(&mut self, claim: u64, now: Instant) -> bool {
        match &mut self.holder {
            Some(holder) if claim == self.claims => {
                holder.heard = now;
                true
            }
            _ => false,
        }
    }

    /// Ends a claim; nothing happens if another has replaced it.
    pub fn release(&mut self, claim: u64, now: Instant) {
        if claim == self.claims {
            self.holder = None;
            self.used = now;
        }
    }

    pub fn state(&self, now: Instant) -> State {
        match &self.holder {
            None => State::Gone,
            Some(holder) if now.saturating_duration_since(holder.heard) >= self.stall => {
                State::Stalled
            }
            Some(_) => State::Live,
        }
    }

    /// How long nobody has fed the name; zero while somebody does.
    pub fn unused(&self, now: Instant) -> Duration {
        if self.holder.is_some() {
            Duration::ZERO
        } else {
            now.saturating_duration_since(self.used)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALL: Duration = Duration::from_secs(2);

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    #[test]
    fn a_living_feed_keeps_its_name_unless_its_token_comes() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        let first = lease.claim(Some(secret("a")), start).unwrap();
        assert_eq!(lease.claim(Some(secret("b")), start), Err(Taken));
        assert_eq!(lease.claim(None, start), Err(Taken));
        let second = lease.claim(Some(secret("a")), start).unwrap();
        assert!(!lease.heard(first, start), "the older claim is over");
        lease.release(first, start);
        assert!(
            lease.heard(second, start),
            "and its end does not free the name"
        );
        assert_eq!(lease.state(start), State::Live);
    }

    #[test]
    fn without_a_token_nobody_is_the_same() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        lease.claim(None, start).unwrap();
        assert_eq!(lease.claim(None, start), Err(Taken));
    }

    #[test]
    fn a_stalled_feed_may_be_replaced_and_a_gone_one_too() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        let first = lease.claim(Some(secret("a")), start).unwrap();
        assert!(lease.heard(first, start + STALL));
        assert_eq!(lease.claim(Some(secret("b")), start + STALL), Err(Taken));
        let later = start + 2 * STALL;
        assert_eq!(lease.state(later), State::Stalled);
        let second = lease.claim(Some(secret("b")), later).unwrap();
        lease.release(second, later);
        assert_eq!(lease.state(later), State::Gone);
        assert_eq!(lease.unused(later + STALL), STALL);
        lease.claim(None, later + STALL).unwrap();
        assert_eq!(lease.unused(later + 9 * STALL), Duration::ZERO);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Claim(Option<u8>),
        Heard(u64),
        Release(u64),
        Wait(u64),
    }

    proptest! {
        /// Only the last successful claim is heard, and a name is never taken from a living holder with another token.
        #[test]
        fn one_holder(steps in proptest::collection::vec(prop_oneof![
            proptest::option::of(0_u8..3).prop_map(Step::Claim),
            (0_u64..8).prop_map(Step::Heard),
            (0_u64..8).prop_map(Step::Release),
            (0_u64..1500).prop_map(Step::Wait),
        ], 0..60)) {
            let mut now = Instant::now();
            let mut lease = Lease::new(now, STALL);
            let mut holder: Option<(u64, Option<u8>)> = None;
            for step in steps {
                match step {
                    Step::Claim(given) => {
                        let live = lease.state(now) == State::Live;
                        let claimed = lease.claim(given.map(|digit| Secret::new(digit.to_string())), now);
                        let same = given.is_some() && holder.is_some_and(|(_, held)| held == given);
                        prop_assert_eq!(claimed.is_ok(), !live || same);
                        if let Ok(claim) = claimed {
                            holder = Some((claim, given));
                        }
                    }
                    Step::Heard(claim) => {
                        prop_assert_eq!(lease.heard(claim, now), holder.is_some_and(|(held, _)| held == claim));
                    }
                    Step::Release(claim) => {
                        lease.release(claim, now);
                        holder = holder.filter(|(held, _)| *held != claim);
                    }
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                }
                prop_assert_eq!(lease.state(now) == State::Gone, holder.is_none());
            }
        }
    }
}
