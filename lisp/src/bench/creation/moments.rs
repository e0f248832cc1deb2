//! The way of one Service from its creation until it is registered, as its parts. Pure.

use anyhow::{Context as _, bail};

use crate::services::ServiceName;
use crate::told::{ServedWhat, Told};

/// The moments of a creation, in nanoseconds on the machine's monotonic clock, and how long each program took for its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a unit stands in the name")]
pub(super) struct Moments {
    /// The API server was about to be asked for the Service.
    pub(super) begun_ns: u64,
    /// The API server had answered.
    pub(super) created_ns: u64,
    /// The agent had answered the API server with the address.
    pub(super) given_ns: u64,
    /// The agent was about to register the cluster.
    pub(super) registering_ns: u64,
    /// The control plane had answered that.
    pub(super) complete_ns: u64,
    /// The agent's own work: reviews without waiting for the control plane, and from what Kubernetes said to the registration.
    pub(super) agent_ns: u64,
    /// The control plane's own work.
    pub(super) control_ns: u64,
    /// How long the agent waited for the control plane.
    pub(super) waited_ns: u64,
}

/// The parts, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Parts {
    pub(super) create_to_id: f64,
    pub(super) id_to_register: f64,
    pub(super) register_to_complete: f64,
    pub(super) kubernetes: f64,
    pub(super) lisp: f64,
    pub(super) transfer: f64,
}

impl Moments {
    /// Out of what agent and control plane have said since the creation was begun; none while something is missing.
    pub(super) fn read<'a>(
        service: &ServiceName,
        [begun_ns, created_ns]: [u64; 2],
        told: impl Iterator<Item = &'a Told>,
    ) -> Option<Self> {
        let (mut given, mut registered, mut is_served) = (None, None, false);
        let (mut agent_ns, mut control_ns, mut waited_ns) = (0, 0, 0);
        for one in told {
            match one {
                Told::Reviewed {
                    at_ns,
                    begun_ns: review_ns,
                    asking_ns,
                    service: of,
                } if of == service && *review_ns >= begun_ns => {
                    // The API server asks twice: for the address, and whether what came of that is right.
                    given.get_or_insert(*at_ns);
                    let whole_ns = at_ns.saturating_sub(*review_ns);
                    agent_ns += whole_ns.saturating_sub(*asking_ns);
                    waited_ns += asking_ns;
                }
                Told::Registered {
                    at_ns,
                    noticing_ns,
                    answering_ns,
                    service: of,
                } if of == service && *at_ns >= begun_ns && registered.is_none() => {
                    registered = Some((*at_ns, at_ns + answering_ns));
                    agent_ns += noticing_ns;
                    waited_ns += answering_ns;
                }
                Told::Served {
                    at_ns,
                    taking_ns,
                    what,
                    service: of,
                } if of == service && *at_ns >= begun_ns => {
                    is_served |= *what == ServedWhat::Registration;
                    control_ns += taking_ns;
                }
                _ => {}
            }
        }
        let (registering_ns, complete_ns) = registered.filter(|_| is_served)?;
        Some(Self {
            begun_ns,
            created_ns,
            given_ns: given?,
            registering_ns,
            complete_ns,
            agent_ns,
            control_ns,
            waited_ns,
        })
    }

    /// The parts; an error where the moments cannot be of one creation.
    pub(super) fn parts(&self) -> anyhow::Result<Parts> {
        let in_order = [
            self.begun_ns,
            self.given_ns,
            self.registering_ns,
            self.complete_ns,
        ];
        if !in_order.is_sorted() || self.created_ns < self.given_ns {
            bail!("the moments are not in their order: {self:?}");
        }
        let transfer_ns = self.waited_ns.checked_sub(self.control_ns);
        let transfer_ns = transfer_ns
            .with_context(|| format!("the control plane worked when nobody waited: {self:?}"))?;
        let lisp_ns = self.agent_ns + self.control_ns;
        let whole_ns = self.complete_ns - self.begun_ns;
        let kubernetes_ns = whole_ns.checked_sub(lisp_ns + transfer_ns);
        let kubernetes_ns = kubernetes_ns
            .with_context(|| format!("parts that are more than the whole: {self:?}"))?;
        let ms = |ns: u64| ns as f64 / 1e6;
        Ok(Parts {
            create_to_id: ms(self.given_ns - self.begun_ns),
            id_to_register: ms(self.registering_ns - self.given_ns),
            register_to_complete: ms(self.complete_ns - self.registering_ns),
            kubernetes: ms(kubernetes_ns),
            lisp: ms(lisp_ns),
            transfer: ms(transfer_ns),
        })
    }
}

impl Parts {
    /// The whole creation, in milliseconds.
    pub(super) fn total(&self) -> f64 {
        self.create_to_id + self.id_to_register + self.register_to_complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn service() -> ServiceName {
        "bench/one".parse().unwrap()
    }

    fn reviewed(begun: u64, at: u64, asking: u64) -> Told {
        Told::Reviewed {
            at_ns: at * MS,
            begun_ns: begun * MS,
            asking_ns: asking * MS,
            service: service(),
        }
    }

    fn served(at: u64, taking: u64, what: ServedWhat) -> Told {
        Told::Served {
            at_ns: at * MS,
            taking_ns: taking * MS,
            what,
            service: service(),
        }
    }

    /// Begun at 100 ms, complete at 160 ms.
    fn said() -> Vec<Told> {
        vec![
            // Of another one of this name, which is gone.
            reviewed(50, 60, 5),
            served(108, 3, ServedWhat::Address),
            reviewed(102, 110, 6),
            served(113, 1, ServedWhat::Address),
            reviewed(111, 114, 2),
            served(158, 4, ServedWhat::Registration),
            Told::Registered {
                at_ns: 150 * MS,
                noticing_ns: 2 * MS,
                answering_ns: 10 * MS,
                service: service(),
            },
        ]
    }

    fn read(said: &[Told]) -> Option<Moments> {
        Moments::read(&service(), [100 * MS, 120 * MS], said.iter())
    }

    #[test]
    fn both_ways_of_taking_it_apart_sum_to_the_whole() {
        let parts = read(&said()).unwrap().parts().unwrap();
        let wanted = Parts {
            create_to_id: 10.0,
            id_to_register: 40.0,
            register_to_complete: 10.0,
            // 60 in all; the agent 2 and 1 in reviews and 2 until its request, the control plane 3, 1 and 4; of 18 waited for.
            lisp: 13.0,
            transfer: 10.0,
            kubernetes: 37.0,
        };
        assert_eq!(parts, wanted);
        let by_whom = parts.kubernetes + parts.lisp + parts.transfer;
        assert!((by_whom - parts.total()).abs() < 1e-9);
    }

    #[test]
    fn what_is_incomplete_is_waited_for_and_what_cannot_be_is_refused() {
        let all = said();
        for missing in [5, 6] {
            let mut some = all.clone();
            some.remove(missing);
            assert_eq!(read(&some), None, "{missing}");
        }
        assert_eq!(
            read(&all[3..]).map(|moments| moments.given_ns),
            Some(114 * MS)
        );
        let other = Moments::read(&"bench/two".parse().unwrap(), [0, 0], all.iter());
        assert_eq!(other, None);
        let moments = read(&all).unwrap();
        for wrong in [
            Moments {
                given_ns: 155 * MS,
                ..moments
            },
            Moments {
                control_ns: 19 * MS,
                ..moments
            },
            Moments {
                agent_ns: 50 * MS,
                ..moments
            },
        ] {
            assert!(wrong.parts().is_err(), "{wrong:?}");
        }
    }
}
