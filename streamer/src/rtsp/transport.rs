//! The Transport header of a SETUP request (RFC 2326 section 12.39), as far as the streamer has a say in it. Pure.
//!
//! The RTSP server takes any port that a header names, and sets up a viewer that names none. Packets would then go to
//! whatever service listens there on the viewer's address, a node's tunnel behind a NAT among them, or nowhere.

/// The lowest UDP port that packets are sent to: services have those below.
const LOWEST_PORT: u16 = 1024;

/// The header asks for packets where none may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

/// The port that a viewer on UDP sends RTCP from, if `header` asks for UDP at all: that of its first offer of that kind.
///
/// Offers that the server refuses by itself, such as multicast, are left to it.
pub fn rtcp_port(header: &str) -> Result<Option<u16>, Unusable> {
    let mut port = None;
    for offer in header.split(',') {
        let mut parts = offer.split(';').map(str::trim);
        let protocol = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts.collect();
        let value = |name: &str| {
            parameters.iter().find_map(|parameter| {
                let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        if value("multicast").is_some() {
            continue;
        }
        if protocol.eq_ignore_ascii_case("RTP/AVP/TCP") {
            if let Some(channels) = value("interleaved") {
                pair::<u8>(channels).ok_or(Unusable)?;
            }
        } else if ["RTP/AVP", "RTP/AVP/UDP"]
            .iter()
            .any(|udp| protocol.eq_ignore_ascii_case(udp))
        {
            let ports = value("client_port").and_then(pair::<u16>);
            let (rtp, rtcp) = ports.ok_or(Unusable)?;
            if rtp < LOWEST_PORT || rtcp < LOWEST_PORT || rtp == rtcp {
                return Err(Unusable);
            }
            port = port.or(Some(rtcp));
        }
    }
    Ok(port)
}

/// Whether `header` offers packets that are interleaved with the connection's requests.
pub fn offers_tcp(header: &str) -> bool {
    header.split(',').any(is_tcp)
}

/// Whether `header` offers nothing else.
pub fn offers_tcp_only(header: &str) -> bool {
    header.split(',').all(is_tcp)
}

fn is_tcp(offer: &str) -> bool {
    let protocol = offer.split(';').next().unwrap_or_default().trim();
    protocol.eq_ignore_ascii_case("RTP/AVP/TCP")
}

/// Two numbers, `4-5`, or the one and its successor, `4`.
fn pair<T>(text: &str) -> Option<(T, T)>
where
    T: std::str::FromStr + Copy + TryFrom<u32>,
    u32: From<T>,
{
    if let Some((first, second)) = text.split_once('-') {
        return Some((first.trim().parse().ok()?, second.trim().parse().ok()?));
    }
    let first: T = text.parse().ok()?;
    Some((first, T::try_from(u32::from(first) + 1).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_players_ask_for_passes() {
        for (header, port) in [
            ("RTP/AVP;unicast;client_port=40000-40001", Some(40_001)),
            ("RTP/AVP/UDP;unicast;client_port=5004", Some(5005)),
            ("RTP/AVP/TCP;unicast;interleaved=0-1", None),
            ("rtp/avp/tcp;unicast", None),
            ("RTP/AVP;multicast;port=0", None),
            ("RTP/SAVP;unicast;client_port=0-1", None),
            ("", None),
            (
                "RTP/AVP/TCP;interleaved=0-1, RTP/AVP;unicast;client_port=6000-6001;mode=PLAY",
                Some(6001),
            ),
        ] {
            assert_eq!(rtcp_port(header), Ok(port), "{header}");
        }
    }

    #[test]
    fn an_offer_of_tcp_is_seen_wherever_it_stands() {
        assert!(offers_tcp("RTP/AVP/TCP;unicast;interleaved=0-1"));
        assert!(offers_tcp(
            "RTP/AVP;unicast;client_port=6000-6001, rtp/avp/tcp"
        ));
        assert!(!offers_tcp("RTP/AVP;unicast;client_port=6000-6001"));
    }

    #[test]
    fn an_offer_of_anything_else_is_seen_too() {
        assert!(offers_tcp_only("RTP/AVP/TCP;unicast;interleaved=0-1"));
        assert!(offers_tcp_only("rtp/avp/tcp , RTP/AVP/TCP;interleaved=2-3"));
        for other in [
            "",
            "RTP/AVP;unicast;client_port=6000-6001",
            "RTP/AVP/TCP;unicast,RTP/AVP/UDP;unicast;client_port=6000-6001",
            "RTP/AVP;multicast",
            "RTP/AVP/TCP;unicast,",
            "RTP/SAVP;unicast;interleaved=0-1",
        ] {
            assert!(!offers_tcp_only(other), "{other}");
        }
    }

    #[test]
    fn ports_of_services_and_of_nobody_are_refused() {
        for header in [
            "RTP/AVP;unicast",
            "RTP/AVP;unicast;client_port=",
            "RTP/AVP;unicast;client_port=x-y",
            "RTP/AVP;unicast;client_port=0-1",
            "RTP/AVP;unicast;client_port=53-54",
            "RTP/AVP;unicast;client_port=1023-1024",
            "RTP/AVP;unicast;client_port=40000-1",
            "RTP/AVP;unicast;client_port=40000-40000",
            "RTP/AVP;unicast;client_port=65535",
            "RTP/AVP;unicast;client_port=70000-70001",
            "RTP/AVP/TCP;interleaved=300-301",
            "RTP/AVP/TCP;interleaved=0-1,RTP/AVP;client_port=22-23",
        ] {
            assert_eq!(rtcp_port(header), Err(Unusable), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_names_a_port_of_a_service(header in "(RTP/AVP(/UDP|/TCP)?;(client_port|interleaved)=[0-9]{0,6}-?[0-9]{0,6}[,;]?){0,3}") {
            if let Ok(Some(port)) = rtcp_port(&header) {
                prop_assert!(port >= LOWEST_PORT);
            }
        }
    }
}
