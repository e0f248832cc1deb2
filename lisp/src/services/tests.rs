//! One address for a service, never the same for two, whatever comes and goes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use timeline::UnixMicros;

use super::*;
use crate::eid::Eid;

fn eid(text: &str) -> Eid {
    text.parse().unwrap()
}

fn name(text: &str) -> ServiceName {
    text.parse().unwrap()
}

fn book() -> Book {
    let pools = vec![
        Pool {
            name: "default".into(),
            eid: eid("10.112.0.0/29"),
        },
        Pool {
            name: "six".into(),
            eid: eid("[7]2001:db8::/126"),
        },
    ];
    let reserved = BTreeMap::from([(name("shop/front"), eid("10.112.0.2"))]);
    Book::new(pools, reserved, 1_000, 100)
}

fn allocate(book: &mut Book, service: &str, cluster: &str) -> Result<Eid, NoAddress> {
    let (eid, changes) = book.allocate(&name(service), cluster, None, None)?;
    for change in &changes {
        book.apply(change);
    }
    Ok(eid)
}

#[test]
fn a_name_has_one_address_in_every_cluster() {
    let mut book = book();
    let first = allocate(&mut book, "shop/cart", "seoul").unwrap();
    assert_eq!(first, eid("10.112.0.1"));
    assert_eq!(allocate(&mut book, "shop/cart", "busan"), Ok(first));
    let again = book.allocate(&name("shop/cart"), "seoul", None, None);
    assert_eq!(again, Ok((first, vec![])), "asked twice, changed once");
    assert_eq!(
        allocate(&mut book, "other/cart", "seoul"),
        Ok(eid("10.112.0.3")),
        "2 is reserved"
    );
    assert_eq!(
        allocate(&mut book, "shop/front", "seoul"),
        Ok(eid("10.112.0.2"))
    );
    let six = book
        .allocate(&name("shop/six"), "seoul", Some("six"), None)
        .unwrap()
        .0;
    assert_eq!(six, eid("[7]2001:db8::1"));
}

#[test]
fn an_address_is_free_again_after_its_grace_and_last_in_the_row() {
    let mut book = book();
    let first = allocate(&mut book, "a/one", "seoul").unwrap();
    allocate(&mut book, "a/one", "busan").unwrap();
    let mut release = |cluster, at| {
        let change = book.release(&name("a/one"), cluster, UnixMicros(at))?;
        book.apply(&change);
        Some(change)
    };
    assert!(matches!(
        release("seoul", 5),
        Some(Change::Leave { released: None, .. })
    ));
    assert!(matches!(
        release("busan", 6),
        Some(Change::Leave {
            released: Some(_),
            ..
        })
    ));
    assert_eq!(release("busan", 7), None);
    assert_eq!(book.expired(UnixMicros(1_005)), []);
    assert_eq!(book.expired(UnixMicros(0)), [], "the clock went back");
    let back = allocate(&mut book.clone(), "a/one", "seoul");
    assert_eq!(back, Ok(first), "whoever comes back in time has it again");
    let ended = book.expired(UnixMicros(1_006));
    assert_eq!(ended.len(), 1);
    book.apply(&ended[0]);
    let others: Vec<_> = (0..5)
        .map(|number| allocate(&mut book, &format!("b/{number}"), "seoul").unwrap())
        .collect();
    assert_eq!(others.last(), Some(&first));
    assert_eq!(
        allocate(&mut book, "b/9", "seoul"),
        Err(NoAddress::Exhausted("default".into()))
    );
}

#[test]
fn an_address_that_is_asked_for_is_given_if_it_is_free() {
    let mut book = book();
    let mut ask = |service: &str, address: &str| {
        let result = book.allocate(
            &name(service),
            "seoul",
            None,
            Some(address.parse().unwrap()),
        );
        let (eid, changes) = result?;
        for change in &changes {
            book.apply(change);
        }
        Ok(eid)
    };
    assert_eq!(ask("a/one", "10.112.0.5"), Ok(eid("10.112.0.5")));
    assert_eq!(ask("a/one", "10.112.0.5"), Ok(eid("10.112.0.5")));
    assert_eq!(
        ask("a/one", "10.112.0.6"),
        Err(NoAddress::HasOther(eid("10.112.0.5")))
    );
    for (service, taken) in [
        ("a/two", "10.112.0.5"),
        ("a/two", "10.112.0.2"),
        ("a/two", "10.112.0.0"),
        ("a/two", "192.0.2.1"),
    ] {
        assert_eq!(
            ask(service, taken),
            Err(NoAddress::Wanted(taken.parse().unwrap()))
        );
    }
    assert_eq!(ask("shop/front", "10.112.0.2"), Ok(eid("10.112.0.2")));
}

#[test]
fn an_address_that_is_something_elses_in_a_cluster_is_not_given_there() {
    let mut book = book();
    let block = |book: &mut Book, address: &str, cluster| {
        let changes = book.block(address.parse().unwrap(), cluster, UnixMicros(1));
        for change in &changes {
            book.apply(change);
        }
        changes.len()
    };
    assert_eq!(block(&mut book, "10.112.0.1", "busan"), 1);
    assert_eq!(block(&mut book, "10.112.0.1", "busan"), 0, "known");
    assert_eq!(block(&mut book, "192.0.2.1", "busan"), 0, "in no pool");
    let first = allocate(&mut book, "a/one", "seoul").unwrap();
    assert_eq!(
        first,
        eid("10.112.0.3"),
        "1 is no new service's, 2 is reserved"
    );
    assert_eq!(allocate(&mut book, "a/one", "busan"), Ok(first));
    allocate(&mut book, "a/one", "jeju").unwrap();
    assert_eq!(
        block(&mut book, "10.112.0.3", "jeju"),
        2,
        "and it has the service no more"
    );
    let refused = NoAddress::Blocked(first, "jeju".into());
    assert_eq!(allocate(&mut book, "a/one", "jeju"), Err(refused));
    assert_eq!(
        allocate(&mut book, "a/one", "seoul"),
        Ok(first),
        "elsewhere it stays"
    );
}

#[test]
fn names_are_labels() {
    for good in ["a/b", "kube-system/dns-1", "0/9"] {
        assert_eq!(name(good).to_string(), good);
    }
    let long = format!("a/{}", "b".repeat(64));
    for wrong in [
        "", "a", "a/", "/b", "a/B", "a/b/c", "-a/b", "a/b-", "a/b.c", "a b/c", &long,
    ] {
        assert!(wrong.parse::<ServiceName>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_address_is_ever_two_services(
        steps in proptest::collection::vec((0_u8..4, 0_u8..12, 0_u8..3), 0..200),
    ) {
        let mut book = book();
        let mut now = 0;
        for (kind, service, cluster) in steps {
            let (service, cluster) = (format!("ns/s{service}"), format!("c{cluster}"));
            match kind {
                0 | 1 => { let _ = allocate(&mut book, &service, &cluster); }
                2 => {
                    if let Some(change) = book.release(&name(&service), &cluster, UnixMicros(now)) {
                        book.apply(&change);
                    }
                }
                _ => {
                    now += 700;
                    for change in book.expired(UnixMicros(now)) {
                        book.apply(&change);
                    }
                }
            }
            let eids: std::collections::BTreeSet<_> = book.services().values().map(|service| service.eid).collect();
            prop_assert_eq!(eids.len(), book.services().len());
            for service in book.services().values() {
                prop_assert_eq!(service.clusters.is_empty(), service.released.is_some());
            }
        }
    }
}
