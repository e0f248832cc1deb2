//! Who may feed a name. Pure: time is an argument.
//!
//! ```text
//!            claim                 no packet for a while
//!   gone ------------> live <--------------------------> stalled
//!    ^                  |            a packet               |
//!    +------------------+-----------------------------------+
//!        release                                  release, or another feed claims the name
//! ```
//!
//! A name that a feed with a token has claimed is that token's until the name is forgotten, also while nobody feeds it. One
//! that was claimed without is anybody's once its feed stalls or goes. What must make room for other names is in `table`: a
//! token that has not fed its name for ten seconds in all has not earned it.

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

/// How long a name is fed until its token keeps it also where names are short.
const ESTABLISHED: Duration = Duration::from_secs(10);

/// Who asks for a name.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// What it was given to prove that the name is its own.
    pub token: Option<Secret>,
    /// What tells a program that lost its connection and comes back from any other.
    pub process: Option<Secret>,
}

/// The name has a living feed of somebody else's, or belongs to another token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is taken by another feed")]
pub struct Taken;

/// The right to feed one name.
#[derive(Debug)]
pub struct Lease {
    /// The token that the name belongs to.
    owner: Option<Secret>,
    holder: Option<Holder>,
    claims: u64,
    /// How long the name was fed in all.
    fed: Duration,
    /// When a feed last held the name.
    used: Instant,
    stall: Duration,
}

#[derive(Debug)]
struct Holder {
    process: Option<Secret>,
    heard: Instant,
}

impl Lease {
    /// A name that nobody feeds; one whose feed sends nothing for `stall` may be taken over.
    pub const fn new(now: Instant, stall: Duration) -> Self {
        Self {
            owner: None,
            holder: None,
            claims: 0,
            fed: Duration::ZERO,
            used: now,
            stall,
        }
    }

    /// Whether `sender` may take the name.
    ///
    /// A living feed is replaced only by one that carries the same token, or comes from the same process: that is how a
    /// renderer that lost its connection comes back before the streamer has noticed.
    pub fn is_open_to(&self, sender: &Sender, now: Instant) -> bool {
        if self.owner.is_some() {
            return same(self.owner.as_ref(), sender.token.as_ref());
        }
        let holder = self.holder.as_ref();
        self.state(now) != State::Live
            || holder.is_some_and(|holder| same(holder.process.as_ref(), sender.process.as_ref()))
    }

    /// Whether `asker` may be who feeds the name, as far as that can be told: of a feed with neither token nor process everybody may.
    pub fn may_be_of(&self, asker: &Sender) -> bool {
        let holder = self.holder.as_ref();
        let process = holder.and_then(|holder| holder.process.as_ref());
        match (&self.owner, process) {
            (Some(owner), _) => same(Some(owner), asker.token.as_ref()),
            (None, Some(process)) => same(Some(process), asker.process.as_ref()),
            (None, None) => true,
        }
    }

    /// Takes the name, and returns the number of the claim: every older one is over.
    pub fn claim(&mut self, sender: Sender, now: Instant) -> Result<u64, Taken> {
        if !self.is_open_to(&sender, now) {
            return Err(Taken);
        }
        self.owner = self.owner.take().or(sender.token);
        self.holder = Some(Holder {
            process: sender.process,
            heard: now,
        });
        self.claims += 1;
        self.used = now;
        Ok(self.claims)
    }

    /// Whether the name belongs to a token that has fed it for a while.
    pub fn is_established(&self) -> bool {
        self.owner.is_some() && self.fed >= ESTABLISHED
    }

    /// A packet of claim `claim` came. Whether that claim still holds the name.
    pub fn heard(&mut self, claim: u64, now: Instant) -> bool {
        match &mut self.holder {
            Some(holder) if claim == self.claims => {
                // A silence is no feeding.
                let since = now.saturating_duration_since(holder.heard);
                self.fed += since.min(self.stall);
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

/// Whether both are there and alike.
fn same(held: Option<&Secret>, given: Option<&Secret>) -> bool {
    matches!((held, given), (Some(held), Some(given)) if held == given)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALL: Duration = Duration::from_secs(2);

    fn token(text: &str) -> Sender {
        Sender {
            token: Some(Secret::new(text)),
            process: None,
        }
    }

    fn process(text: &str) -> Sender {
        Sender {
            token: None,
            process: Some(Secret::new(text)),
        }
    }

    #[test]
    fn whoever_feeds_a_name_is_told_from_others_where_there_is_a_difference() {
        let start = Instant::now();
        let claimed = |sender: &Sender| {
            let mut lease = Lease::new(start, STALL);
            lease.claim(sender.clone(), start).unwrap();
            lease
        };
        let (nobody, a, b) = (Sender::default(), token("a"), process("b"));
        for (feeds, asks, may_be) in [
            (&a, &a, true),
            (&a, &nobody, false),
            (&a, &b, false),
            (&b, &b, true),
            (&b, &nobody, false),
            (&nobody, &nobody, true),
            (&nobody, &a, true),
        ] {
            assert_eq!(claimed(feeds).may_be_of(asks), may_be, "{feeds:?} {asks:?}");
        }
    }

    #[test]
    fn a_living_feed_keeps_its_name_unless_it_comes_back_itself() {
        for of in [token, process] {
            let start = Instant::now();
            let mut lease = Lease::new(start, STALL);
            let first = lease.claim(of("a"), start).unwrap();
            assert_eq!(lease.claim(of("b"), start), Err(Taken));
            assert_eq!(lease.claim(Sender::default(), start), Err(Taken));
            let second = lease.claim(of("a"), start).unwrap();
            assert!(!lease.heard(first, start), "the older claim is over");
            lease.release(first, start);
            assert!(
                lease.heard(second, start),
                "and its end does not free the name"
            );
            assert_eq!(lease.state(start), State::Live);
        }
    }

    #[test]
    fn without_a_token_nobody_is_the_same() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        lease.claim(Sender::default(), start).unwrap();
        assert_eq!(lease.claim(Sender::default(), start), Err(Taken));
    }

    #[test]
    fn a_name_is_its_tokens_also_while_nobody_feeds_it() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        let first = lease.claim(token("a"), start).unwrap();
        let stalled = start + 2 * STALL;
        assert_eq!(lease.state(stalled), State::Stalled);
        assert_eq!(lease.claim(token("b"), stalled), Err(Taken));
        lease.release(first, stalled);
        assert_eq!(lease.claim(token("b"), stalled), Err(Taken));
        assert_eq!(lease.claim(Sender::default(), stalled), Err(Taken));
        lease.claim(token("a"), stalled).unwrap();
    }

    #[test]
    fn a_token_earns_its_name_by_feeding_it() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        let claim = lease.claim(token("a"), start).unwrap();
        lease.heard(claim, start + 100 * ESTABLISHED);
        assert!(!lease.is_established(), "silence earns nothing");
        let feeding = start + 100 * ESTABLISHED;
        for seconds in 1..=8 {
            assert!(!lease.is_established());
            lease.heard(claim, feeding + Duration::from_secs(seconds));
        }
        assert!(lease.is_established());
        let mut nobody = Lease::new(start, STALL);
        let claim = nobody.claim(Sender::default(), start).unwrap();
        for seconds in 1..=20 {
            nobody.heard(claim, start + Duration::from_secs(seconds));
        }
        assert!(!nobody.is_established(), "it belongs to no token");
    }

    #[test]
    fn a_stalled_feed_without_a_token_may_be_replaced_and_a_gone_one_too() {
        let start = Instant::now();
        let mut lease = Lease::new(start, STALL);
        let first = lease.claim(process("a"), start).unwrap();
        assert!(lease.heard(first, start + STALL));
        assert_eq!(lease.claim(process("b"), start + STALL), Err(Taken));
        let later = start + 2 * STALL;
        assert_eq!(lease.state(later), State::Stalled);
        let second = lease.claim(process("b"), later).unwrap();
        lease.release(second, later);
        assert_eq!(lease.state(later), State::Gone);
        assert_eq!(lease.unused(later + STALL), STALL);
        lease.claim(Sender::default(), later + STALL).unwrap();
        assert_eq!(lease.unused(later + 9 * STALL), Duration::ZERO);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Claim(Option<u8>, Option<u8>),
        Heard(u64),
        Release(u64),
        Wait(u64),
    }

    fn numbered(digit: Option<u8>) -> Option<Secret> {
        digit.map(|digit| Secret::new(digit.to_string()))
    }

    proptest! {
        /// Only the last successful claim is heard; a name stays with its first token; one without is never taken from a
        /// living feed by another process.
        #[test]
        fn one_holder(steps in proptest::collection::vec(prop_oneof![
            (proptest::option::of(0_u8..3), proptest::option::of(0_u8..3)).prop_map(|(token, process)| Step::Claim(token, process)),
            (0_u64..8).prop_map(Step::Heard),
            (0_u64..8).prop_map(Step::Release),
            (0_u64..1500).prop_map(Step::Wait),
        ], 0..60)) {
            let mut now = Instant::now();
            let mut lease = Lease::new(now, STALL);
            let (mut holder, mut owner): (Option<(u64, Option<u8>)>, Option<u8>) = (None, None);
            for step in steps {
                match step {
                    Step::Claim(token, process) => {
                        let live = lease.state(now) == State::Live;
                        let sender = Sender { token: numbered(token), process: numbered(process) };
                        let claimed = lease.claim(sender, now);
                        let same = process.is_some() && holder.is_some_and(|(_, held)| held == process);
                        let may = if owner.is_some() { owner == token } else { !live || same };
                        prop_assert_eq!(claimed.is_ok(), may);
                        if let Ok(claim) = claimed {
                            holder = Some((claim, process));
                            owner = owner.or(token);
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
