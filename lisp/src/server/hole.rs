//! Holes: prefixes of which a Map-Resolver knows that nothing is in them.

use ipnet::IpNet;

use crate::eid::Eid;

/// The least-specific prefix with `eid` in it of which `is_taken` finds no part taken, within `most` where that is given.
///
/// "The Map-Resolver SHOULD return the least-specific prefix that both matches the original query and does not match any
/// EID-Prefix known to exist in the LISP-capable infrastructure" (RFC 9301 section 8.4).
pub(super) fn least_specific(eid: &Eid, most: Option<Eid>, is_taken: impl Fn(&Eid) -> bool) -> Eid {
    let first = most.map_or(0, |most| most.prefix().prefix_len());
    let wider = |length| {
        let prefix =
            IpNet::new(eid.address(), length).expect("shorter than a prefix of the family");
        Eid::new(eid.instance(), prefix)
    };
    // What is free at one length is free at every longer one.
    let (mut low, mut high) = (first, eid.prefix().prefix_len().max(first));
    while low < high {
        let middle = low.midpoint(high);
        if is_taken(&wider(middle)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    wider(high.min(eid.prefix().prefix_len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_is_as_wide_as_it_can_be() {
        let eid = |text: &str| text.parse::<Eid>().unwrap();
        let taken = [eid("10.112.0.5"), eid("10.192.0.0/10")];
        let is_taken = |hole: &Eid| {
            taken
                .iter()
                .any(|one| hole.contains(one) || one.contains(hole))
        };
        let hole = |text: &str, most: Option<&str>| {
            least_specific(&eid(text), most.map(eid), is_taken).to_string()
        };
        assert_eq!(hole("10.112.0.4", None), "10.112.0.4/32");
        assert_eq!(hole("10.112.0.6", None), "10.112.0.6/31");
        assert_eq!(hole("10.113.9.9", Some("10.112.0.0/12")), "10.113.0.0/16");
        assert_eq!(hole("192.0.2.1", None), "128.0.0.0/1");
        assert_eq!(hole("2001:db8::1", None), "::/0");
    }

    proptest! {
        #[test]
        fn it_has_the_address_and_nothing_that_is_taken(address: u32, others in proptest::collection::vec(any::<u32>(), 0..20)) {
            let host = |bits: u32| Eid::host(crate::eid::InstanceId::default(), std::net::Ipv4Addr::from(bits).into());
            let asked = host(address);
            prop_assume!(!others.contains(&address));
            let is_taken = |hole: &Eid| others.iter().any(|other| hole.contains(&host(*other)));
            let hole = least_specific(&asked, None, is_taken);
            prop_assert!(hole.contains(&asked) && !is_taken(&hole));
            let length = hole.prefix().prefix_len();
            if length > 0 {
                let wider = Eid::new(hole.instance(), IpNet::new(asked.address(), length - 1).unwrap());
                prop_assert!(is_taken(&wider));
            }
        }
    }
}
