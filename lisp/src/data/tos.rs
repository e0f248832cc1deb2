//! Traffic class through a tunnel: DSCP is copied, ECN by RFC 6040.

const ECN: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// The traffic class of the outer header: that of the inner one.
///
/// RFC 9300, 5.3: "The outer-header Differentiated Services Code Point (DSCP) field SHOULD be copied from the inner-header
/// DSCP field", and RFC 6040, 4.1, normal mode: "the ECN field of the outgoing outer header is a copy of the inner's".
pub fn entering(inner: u8) -> u8 {
    inner
}

/// The traffic class of the inner header behind the tunnel; none when the packet has to be dropped.
///
/// Congestion was met on the way, and the sender would not understand the mark: only a lost packet tells (RFC 6040, 4.2).
pub fn leaving(inner: u8, outer: u8) -> Option<u8> {
    let ecn = match (inner & ECN, outer & ECN) {
        (NOT_ECT, CE) => return None,
        (NOT_ECT, _) => NOT_ECT,
        (CE, _) | (_, CE) => CE,
        (ECT_1, _) | (_, ECT_1) => ECT_1,
        _ => ECT_0,
    };
    Some(outer & !ECN | ecn)
}
