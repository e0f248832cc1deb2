//! The machine against a control plane that is played, in a time of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::agent::objects::{ProbeKind, SeenService, SeenSlice};
use crate::services::ServiceName;

const MS: Duration = Duration::from_millis(1);

fn config() -> Config {
    Config {
        probing: Probing {
            kind: ProbeKind::Tcp(None),
            interval: 100 * MS,
            failures: 2,
            most: 8,
        },
        drain: 2_000 * MS,
        grace: 60_000 * MS,
        refresh: 600_000 * MS,
        at_once: 2,
    }
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn address(last: u8) -> IpAddr {
    [10, 112, 0, last].into()
}

fn pod(last: u8) -> IpAddr {
    [10, 1, 0, last].into()
}

fn service(is_shared: bool, address: IpAddr) -> SeenService {
    SeenService {
        is_shared,
        address: Some(address),
        probe: None,
    }
}

fn slice(of: &str, endpoints: &[(IpAddr, bool)]) -> Input {
    let key = ("shop".to_owned(), format!("{of}-slice"));
    let seen = SeenSlice {
        service: name(&format!("shop/{of}")),
        endpoints: endpoints.to_vec(),
        port: Some(8080),
    };
    Input::Slice(key, seen)
}

/// The machine with a clock, pods that answer or not, and a control plane that does what it is asked.
struct World {
    agent: Agent,
    begun: Instant,
    now: Instant,
    silent: Vec<IpAddr>,
    /// What the control plane has.
    has: BTreeMap<ServiceName, Request>,
    asked: Vec<(u128, Request)>,
    done: Vec<Done>,
    /// How the next requests end; well if nothing is said.
    results: Vec<Result>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let mut world = Self {
            agent: Agent::new(config()),
            begun: now,
            now,
            silent: vec![],
            has: BTreeMap::new(),
            asked: vec![],
            done: vec![],
            results: vec![],
        };
        world.give(Input::Pools(vec!["10.112.0.0/16".parse().unwrap()]));
        world.give(Input::Accepted {
            knows_nothing: true,
        });
        world.give(Input::Complete);
        world
    }

    fn give(&mut self, input: Input) {
        self.agent.handle(input, self.now);
        self.work();
    }

    fn work(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Ask(service, request) => {
                    let at = (self.now - self.begun).as_millis();
                    self.asked.push((at, request));
                    let result = self.results.pop().unwrap_or(Result::Done);
                    if result == Result::Done {
                        match request {
                            Request::Release => drop(self.has.remove(&service)),
                            _ => drop(self.has.insert(service.clone(), request)),
                        }
                    }
                    let answer = Input::Answered(service, request, result);
                    self.agent.handle(answer, self.now);
                }
                Output::Probe(target) => {
                    let is_answered = !self.silent.contains(&target.address.ip());
                    self.agent
                        .handle(Input::Probed(target, is_answered), self.now);
                }
                Output::Done(done) => self.done.push(done),
            }
        }
    }

    /// Lets this much time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.agent.next_time().filter(|next| *next <= end) {
            assert!(next >= self.now, "the time goes on");
            self.now = next;
            self.agent.on_time(next);
            self.work();
        }
        self.now = end;
    }

    fn asked(&mut self) -> Vec<(u128, Request)> {
        std::mem::take(&mut self.asked)
    }
}

fn set(last: u8, locators: Locators) -> Request {
    Request::Set(address(last), locators)
}

#[test]
fn a_service_is_registered_with_its_first_ready_pod_and_withdrawn_with_its_last() {
    let mut world = World::new();
    world.give(Input::Granted(name("shop/cart")));
    world.give(Input::Service(name("shop/cart"), service(true, address(1))));
    world.give(slice("cart", &[(pod(1), false)]));
    world.pass(500 * MS);
    world.give(slice("cart", &[(pod(1), true)]));
    world.give(slice("cart", &[(pod(1), true), (pod(2), true)]));
    world.pass(500 * MS);
    world.give(slice("cart", &[(pod(2), true)]));
    world.pass(5_000 * MS);
    // Not ready, but it still answers: used where nobody else is, until it is drained.
    world.give(slice("cart", &[(pod(2), false)]));
    world.pass(5_000 * MS);
    let asked = world.asked();
    assert_eq!(
        asked,
        [
            (0, set(1, Locators::None)),
            (500, set(1, Locators::Here)),
            (6_000, set(1, Locators::Last)),
            (8_000, set(1, Locators::None)),
        ]
    );
    world.give(Input::ServiceGone(name("shop/cart")));
    world.give(Input::SliceGone(("shop".into(), "cart-slice".into())));
    assert_eq!(world.asked(), [(11_000, Request::Release)]);
    assert_eq!(world.agent.sizes(), (0, 0));
    assert_eq!(world.agent.next_time(), None);
}

#[test]
fn silence_is_noticed_by_probes_before_kubernetes_says_so() {
    let mut world = World::new();
    world.give(Input::Service(name("shop/cart"), service(true, address(1))));
    world.give(slice("cart", &[(pod(1), true)]));
    world.pass(1_050 * MS);
    world.asked();
    world.silent = vec![pod(1)];
    world.pass(10_000 * MS);
    assert_eq!(world.asked(), [(1_200, set(1, Locators::None))]);
    let done = world.done.last().unwrap();
    assert_eq!(
        done.noticed,
        100 * MS,
        "from the first probe that was not answered"
    );
    // One answer may be luck.
    world.silent = vec![];
    world.pass(1_000 * MS);
    assert_eq!(world.asked(), [(11_200, set(1, Locators::Here))]);
    // What does not answer is not drained.
    world.silent = vec![pod(1)];
    world.pass(80 * MS);
    world.give(slice("cart", &[]));
    world.pass(1_000 * MS);
    let requests: Vec<_> = world
        .asked()
        .into_iter()
        .map(|(_, request)| request)
        .collect();
    assert_eq!(requests, [set(1, Locators::Last), set(1, Locators::None)]);
}

#[test]
fn who_never_answered_a_probe_is_believed_to_be_ready() {
    let mut world = World::new();
    world.silent = vec![pod(1)];
    world.give(Input::Service(name("shop/cart"), service(true, address(1))));
    world.give(slice("cart", &[(pod(1), true)]));
    world.pass(2_000 * MS);
    assert_eq!(world.has[&name("shop/cart")], set(1, Locators::Here));
}

#[test]
fn an_address_whose_service_never_came_is_given_back() {
    let mut world = World::new();
    world.give(Input::Granted(name("shop/cart")));
    world.pass(59_999 * MS);
    assert_eq!(world.asked(), []);
    world.pass(2 * MS);
    assert_eq!(world.asked(), [(60_000, Request::Release)]);
    assert_eq!(world.agent.sizes(), (0, 0));

    // A Service that is made anew keeps its address: the old one's end comes later than the new one's address was given.
    world.give(Input::Service(name("shop/cart"), service(true, address(1))));
    world.give(slice("cart", &[(pod(1), true)]));
    world.give(Input::Granted(name("shop/cart")));
    world.asked();
    world.give(Input::ServiceGone(name("shop/cart")));
    world.give(Input::SliceGone(("shop".into(), "cart-slice".into())));
    world.pass(3_000 * MS);
    world.give(Input::Service(name("shop/cart"), service(true, address(1))));
    let requests: Vec<_> = world
        .asked()
        .into_iter()
        .map(|(_, request)| request)
        .collect();
    assert_eq!(requests, [set(1, Locators::None)], "never released");
}

#[test]
fn an_address_that_was_taken_by_hand_is_reported() {
    let mut world = World::new();
    world.give(Input::Service(
        name("shop/mine"),
        service(false, address(7)),
    ));
    world.give(Input::Service(
        name("shop/other"),
        service(false, [10, 96, 0, 1].into()),
    ));
    world.pass(1_000 * MS);
    assert_eq!(world.asked(), [(0, Request::Conflict(address(7)))]);
    // So is one that the control plane has given to another Service.
    world.results = vec![Result::Taken];
    world.give(Input::Service(name("shop/cart"), service(true, address(8))));
    world.pass(1_000 * MS);
    let asked = world.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[1].1, Request::Conflict(address(8)));
    world.pass(60_000 * MS);
    assert_eq!(world.asked(), []);
}

#[test]
fn everything_is_said_again_to_who_knows_nothing_and_failures_are_tried_again() {
    let mut world = World::new();
    for last in 1..=5 {
        let of = format!("s{last}");
        world.give(Input::Service(
            name(&format!("shop/{of}")),
            service(true, address(last)),
        ));
        world.give(slice(&of, &[(pod(last), true)]));
    }
    assert_eq!(world.has.len(), 5);
    world.asked();
    world.has.clear();
    world.results = vec![Result::Failed; 3];
    world.give(Input::Accepted {
        knows_nothing: true,
    });
    world.pass(1_000 * MS);
    assert_eq!(world.has.len(), 5);
    assert_eq!(world.asked().len(), 8);
    world.give(Input::Accepted {
        knows_nothing: false,
    });
    world.pass(10 * 60_000 * MS);
    assert_eq!(world.asked().len(), 5, "once in each time of refreshing");

    world.give(Input::Refused);
    world.give(Input::ServiceGone(name("shop/s1")));
    world.pass(1_000 * MS);
    assert_eq!(world.asked(), [], "another agent speaks for the cluster");
}

#[test]
fn no_more_requests_and_probes_than_are_allowed_are_under_way() {
    let now = Instant::now();
    let mut agent = Agent::new(config());
    agent.handle(Input::Pools(vec!["10.112.0.0/16".parse().unwrap()]), now);
    agent.handle(Input::Complete, now);
    for last in 1..=20 {
        let of = name(&format!("shop/s{last}"));
        agent.handle(Input::Service(of, service(true, address(last))), now);
        agent.handle(slice(&format!("s{last}"), &[(pod(last), true)]), now);
    }
    agent.handle(
        Input::Accepted {
            knows_nothing: true,
        },
        now,
    );
    let outputs: Vec<_> = std::iter::from_fn(|| agent.poll()).collect();
    let asks = outputs.iter().filter(|one| matches!(one, Output::Ask(..)));
    assert_eq!(asks.count(), 2);
    let probes = outputs.iter().filter(|one| matches!(one, Output::Probe(_)));
    assert_eq!(probes.count(), 8);
}

#[derive(Clone, Debug)]
enum Step {
    Service(u8, bool, bool),
    Gone(u8),
    Endpoints(u8, Vec<(u8, bool)>),
    Granted(u8),
    Silent(Vec<u8>),
    Pass(u16),
    Lost,
    Fail(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        (0..4_u8, any::<bool>(), any::<bool>())
            .prop_map(|(of, shared, pool)| Step::Service(of, shared, pool)),
        (0..4_u8).prop_map(Step::Gone),
        (
            0..4_u8,
            prop::collection::vec((0..6_u8, any::<bool>()), 0..4)
        )
            .prop_map(|(of, pods)| Step::Endpoints(of, pods)),
        (0..4_u8).prop_map(Step::Granted),
        prop::collection::vec(0..6_u8, 0..4).prop_map(Step::Silent),
        (0..5_000_u16).prop_map(Step::Pass),
        Just(Step::Lost),
        (0..4_u8).prop_map(Step::Fail),
    ];
    prop::collection::vec(one, 0..40)
}

proptest! {
    /// Whatever happened in which order: in the end the control plane has what is true.
    #[test]
    fn in_the_end_the_control_plane_has_what_is_true(steps in steps()) {
        let mut world = World::new();
        let mut there: BTreeMap<u8, (bool, bool)> = BTreeMap::new();
        let mut ready: BTreeMap<u8, Vec<(IpAddr, bool)>> = BTreeMap::new();
        let of = |number: u8| name(&format!("shop/s{number}"));
        for step in steps {
            match step {
                Step::Service(number, shared, in_pool) => {
                    there.insert(number, (shared, in_pool));
                    let ip = if in_pool { address(number) } else { [10, 96, 0, number].into() };
                    world.give(Input::Service(of(number), service(shared, ip)));
                }
                Step::Gone(number) => {
                    there.remove(&number);
                    world.give(Input::ServiceGone(of(number)));
                }
                Step::Endpoints(number, pods) => {
                    let mut pods: Vec<_> = pods.into_iter().map(|(last, ready)| (pod(last), ready)).collect();
                    pods.dedup_by_key(|(address, _)| *address);
                    world.give(slice(&format!("s{number}"), &pods));
                    ready.insert(number, pods);
                }
                Step::Granted(number) => world.give(Input::Granted(of(number))),
                Step::Silent(pods) => world.silent = pods.into_iter().map(pod).collect(),
                Step::Pass(ms) => world.pass(u32::from(ms) * MS),
                Step::Lost => world.give(Input::Accepted { knows_nothing: true }),
                Step::Fail(times) => world.results = vec![Result::Failed; times.into()],
            }
        }
        world.silent = vec![];
        world.results = vec![];
        world.pass(120_000 * MS);
        for number in 0..4 {
            let pods = ready.get(&number).into_iter().flatten();
            let is_ready = pods.clone().any(|(_, ready)| *ready);
            let has = world.has.get(&of(number));
            match there.get(&number) {
                Some((true, true)) => {
                    let here = [set(number, Locators::Here), set(number, Locators::None)];
                    let wanted = if is_ready { here[0] } else { here[1] };
                    prop_assert_eq!(has, Some(&wanted), "service {}", number);
                }
                Some((false, true)) => prop_assert_eq!(has, Some(&Request::Conflict(address(number)))),
                _ => prop_assert!(!matches!(has, Some(Request::Set(..))), "service {}: {:?}", number, has),
            }
        }
        let (services, endpoints) = world.agent.sizes();
        prop_assert!(services <= 4 && endpoints <= 24);
    }
}
