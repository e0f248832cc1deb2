//! The gateway's rules: translation where pod addresses overlap, and TCP's segment size.

use std::fmt::Write as _;

use super::peering::Peering;

/// For `nft -f -`; nothing where there is nothing to do.
///
/// With overlapping pod networks each cluster sees the other's pods under another prefix, one to one. A gateway translates
/// what its own pods send to that prefix into the other cluster's own addresses before it routes, and gives what comes out of
/// the tunnel a source from it.
pub(super) fn ruleset(peering: &Peering<'_>) -> String {
    let plane = peering.plane;
    let tunnel = plane.tunnel(peering.site);
    let mut chains = String::new();
    if plane.clamps_mss {
        let _ = write!(
            chains,
            "\tchain forward {{
\t\ttype filter hook forward priority mangle; policy accept;
\t\toifname \"{tunnel}\" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
\t}}
"
        );
    }
    if peering.overlapping {
        let (theirs, seen) = (peering.other.pods, peering.other.pods_abroad);
        let from_node = plane.gateway_interface;
        let _ = write!(
            chains,
            "\tchain prerouting {{
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tiifname != {{ \"{from_node}\", \"{tunnel}\" }} dnat ip prefix to ip daddr map {{ {seen} : {theirs} }}
\t}}
\tchain postrouting {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tiifname \"{tunnel}\" snat ip prefix to ip saddr map {{ {theirs} : {seen} }}
\t}}
"
        );
    }
    if chains.is_empty() {
        return chains;
    }
    format!("table ip liqo {{\n{chains}}}\n")
}
