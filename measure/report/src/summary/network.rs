//! What the repetitions of a scenario say of the network between the clusters, together.

use super::load::LoadedScenario;
use result::{FabricMeta, TooBig, WanMeta};

/// The WAN of the repetitions, with the worst lateness of them.
pub(super) fn wan(one: &LoadedScenario) -> Option<WanMeta> {
    let mut metas = one.runs.iter().filter_map(|run| run.meta.wan.as_ref());
    let mut wan = metas.next()?.clone();
    for other in metas {
        wan.late_p50_us = wan.late_p50_us.max(other.late_p50_us);
        wan.late_p99_us = wan.late_p99_us.max(other.late_p99_us);
    }
    Some(wan)
}

/// The fabric of the repetitions, with what was too big in any of them.
pub(super) fn fabric(one: &LoadedScenario) -> Option<FabricMeta> {
    let mut metas = one.runs.iter().filter_map(|run| run.meta.fabric.as_ref());
    let mut fabric = metas.next()?.clone();
    for other in metas {
        for (name, of) in &other.too_big {
            let sum = fabric.too_big.entry(name.clone()).or_default();
            sum.fragmented += of.fragmented;
            sum.dropped += of.dropped;
        }
    }
    Some(fabric)
}

/// Packets that were larger than a link, in words.
pub(super) fn too_big(fabric: &FabricMeta) -> Vec<String> {
    let said = |what: &str, of: fn(&TooBig) -> u64| {
        let places: Vec<String> = fabric
            .too_big
            .iter()
            .filter(|(_, packets)| of(packets) > 0)
            .map(|(name, packets)| format!("{} in {name}", of(packets)))
            .collect();
        let list = places.join(", ");
        (!list.is_empty()).then(|| format!("IP packets larger than a link were {what}: {list}"))
    };
    let dropped = said("dropped, and their senders told", |of| of.dropped);
    let fragmented = said("cut into fragments", |of| of.fragmented).map(|said| {
        format!("{said}; a frame is lost with any fragment: lower renderer.rtp_mtu until they fit (1150 fits every fabric here)")
    });
    dropped.into_iter().chain(fragmented).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_too_big_is_said_by_place() {
        let mut fabric = FabricMeta::default();
        assert!(too_big(&fabric).is_empty());
        let of = |fragmented, dropped| TooBig {
            fragmented,
            dropped,
        };
        fabric.too_big.insert("gateway-b".into(), of(0, 3));
        fabric.too_big.insert("streamer".into(), of(250, 0));
        assert_eq!(
            too_big(&fabric),
            [
                "IP packets larger than a link were dropped, and their senders told: 3 in gateway-b",
                "IP packets larger than a link were cut into fragments: 250 in streamer; a frame is lost with any fragment: lower \
                 renderer.rtp_mtu until they fit (1150 fits every fabric here)",
            ]
        );
    }
}
