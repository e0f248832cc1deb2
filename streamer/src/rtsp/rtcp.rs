//! Who may send RTCP to a name, and what. Pure: time is an argument.
//!
//! The RTSP server's socket takes RTCP of every address, and believes it: a report that carries the stream's own SSRC makes
//! it say BYE to all viewers, each SSRC is remembered, and a picture loss is a key frame for everybody.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roq::peer::Peer;

use crate::metrics::RtcpDropped;

/// Packets that one viewer may send at once, and for each second after.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 100.0;

/// SSRCs that one viewer may use: one, and some more for players that begin anew in the same session.
const SSRCS: usize = 8;

/// Addresses that are remembered.
const ADDRESSES: usize = 1024;

/// How many viewers on TCP of one host share what is allowed to them: their reports come without the connection's name.
const ON_TCP: usize = 128;

/// An SSRC that was not heard for so long makes room for another: RFC 3550 section 6.3.5 has five reporting intervals, of 5 s.
const FORGOTTEN: Duration = Duration::from_secs(25);

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A datagram's sender.
    Udp(SocketAddr),
    /// The peer of a viewer's connection, if it is known.
    Tcp(Option<Peer>),
}

/// What was heard from one address, or from the viewers on TCP of one host.
#[derive(Debug)]
struct Sender {
    /// Each with the time when it was heard last.
    ssrcs: HashMap<u32, Instant>,
    tokens: f64,
    filled: Instant,
}

impl Sender {
    /// Whether `ssrc` may be heard at `now` from one who may have so many.
    fn hears(&mut self, ssrc: u32, most: usize, now: Instant) -> bool {
        if self.ssrcs.len() >= most && !self.ssrcs.contains_key(&ssrc) {
            let lives = |heard: &mut Instant| now.saturating_duration_since(*heard) < FORGOTTEN;
            self.ssrcs.retain(|_, heard| lives(heard));
            if self.ssrcs.len() >= most {
                return false;
            }
        }
        self.ssrcs.insert(ssrc, now);
        true
    }
}

/// Decides for the packets that come to one name.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    senders: HashMap<Origin, Sender>,
}

impl Guard {
    /// Whether `packet` is passed on, which came at `now` from `from`. `own` is the stream's SSRC, if it has begun;
    /// `is_viewer` says whether an address is one that a viewer sends RTCP from.
    pub(crate) fn admit(
        &mut self,
        packet: &[u8],
        from: Origin,
        own: Option<u32>,
        is_viewer: impl FnOnce(SocketAddr) -> bool,
        now: Instant,
    ) -> Result<(), RtcpDropped> {
        let share = match from {
            Origin::Udp(address) if !is_viewer(address) => return Err(RtcpDropped::stranger),
            Origin::Udp(_) => 1,
            Origin::Tcp(_) => ON_TCP,
        };
        if self.senders.len() >= ADDRESSES && !self.senders.contains_key(&from) {
            self.senders.clear();
        }
        let burst = BURST * share as f64;
        let sender = self.senders.entry(from).or_insert_with(|| Sender {
            ssrcs: HashMap::new(),
            tokens: burst,
            filled: now,
        });
        let since = now.saturating_duration_since(sender.filled);
        sender.filled = now;
        let filled = sender.tokens + refill(since) * share as f64;
        sender.tokens = filled.min(burst);
        if sender.tokens < 1.0 {
            return Err(RtcpDropped::rate);
        }
        sender.tokens -= 1.0;
        for ssrc in ssrcs(packet).ok_or(RtcpDropped::malformed)? {
            if Some(ssrc) == own {
                return Err(RtcpDropped::own_ssrc);
            }
            if !sender.hears(ssrc, SSRCS * share, now) {
                return Err(RtcpDropped::ssrcs);
            }
        }
        Ok(())
    }
}

fn refill(since: Duration) -> f64 {
    since.as_secs_f64() * PER_SECOND
}

/// The SSRC of each packet's sender in a compound packet (RFC 3550 section 6.1); none if it is no RTCP.
pub fn ssrcs(compound: &[u8]) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for packet in Packets(compound) {
        // An empty SDES or BYE has no sender.
        if let Some(ssrc) = packet?.get(4..8).and_then(|ssrc| ssrc.try_into().ok()) {
            found.push(u32::from_be_bytes(ssrc));
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Whether a compound packet asks for a key frame: a picture loss indication (RFC 4585 section 6.3.1) or a full intra request
/// (RFC 5104 section 4.3.1) is in it.
pub fn wants_keyframe(compound: &[u8]) -> bool {
    const PAYLOAD_FEEDBACK: u8 = 206;
    Packets(compound)
        .map_while(|packet| packet)
        .any(|packet| packet[1] == PAYLOAD_FEEDBACK && matches!(packet[0] & 0x1f, 1 | 4))
}

/// The packets of a compound packet, each with its whole head; the last is none where it is no RTCP.
struct Packets<'a>(&'a [u8]);

impl<'a> Iterator for Packets<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let packet = first(self.0);
        self.0 = packet.map_or(&[], |packet| &self.0[packet.len()..]);
        Some(packet)
    }
}

fn first(compound: &[u8]) -> Option<&[u8]> {
    let [first, kind, high, low] = *compound.first_chunk::<4>()?;
    let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
    let is_rtcp = first >> 6 == 2 && (200..=207).contains(&kind);
    compound.get(..length).filter(|_| is_rtcp)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN: u32 = 0x1111_2222;

    fn report(ssrc: u32) -> Vec<u8> {
        [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat()
    }

    fn viewer() -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], 40_001))
    }

    #[test]
    fn a_viewer_reports_and_a_stranger_does_not() {
        let mut guard = Guard::default();
        let now = Instant::now();
        let stranger = SocketAddr::from(([10, 0, 0, 1], 40_003));
        let mut admit = |packet: &[u8], from| {
            guard.admit(packet, from, Some(OWN), |address| address == viewer(), now)
        };
        assert_eq!(admit(&report(7), Origin::Udp(viewer())), Ok(()));
        assert_eq!(admit(&report(7), Origin::Tcp(None)), Ok(()), "over TCP");
        assert_eq!(
            admit(&report(7), Origin::Udp(stranger)),
            Err(RtcpDropped::stranger)
        );
        for from in [Origin::Tcp(None), Origin::Udp(viewer())] {
            assert_eq!(admit(&report(OWN), from), Err(RtcpDropped::own_ssrc));
            let hidden = [report(7), report(OWN)].concat();
            assert_eq!(admit(&hidden, from), Err(RtcpDropped::own_ssrc));
            assert_eq!(admit(b"nonsense", from), Err(RtcpDropped::malformed));
        }
    }

    #[test]
    fn ssrcs_and_packets_are_bounded() {
        let mut guard = Guard::default();
        let now = Instant::now();
        let mut admit = |ssrc, at| {
            guard.admit(
                &report(ssrc),
                Origin::Udp(viewer()),
                Some(OWN),
                |_| true,
                at,
            )
        };
        let taken = (0..100).filter(|ssrc| admit(*ssrc, now).is_ok()).count();
        assert_eq!(taken, SSRCS);
        let taken = (0..1000).filter(|_| admit(0, now).is_ok()).count();
        assert_eq!(taken, 100, "what is left of the burst");
        assert_eq!(admit(0, now), Err(RtcpDropped::rate));
        assert_eq!(admit(0, now + Duration::from_secs(1)), Ok(()));
    }

    /// Who takes all that is allowed takes it from the viewers of the same host only, and not for good.
    #[test]
    fn a_host_that_names_every_ssrc_silences_no_other() {
        let mut guard = Guard::default();
        let now = Instant::now();
        let host = |last| Origin::Tcp(Some(Peer::of([10, 0, 0, last].into())));
        let mut admit = |ssrc, from, at| guard.admit(&report(ssrc), from, Some(OWN), |_| true, at);
        let most = u32::try_from(SSRCS * ON_TCP).expect("it is small");
        for ssrc in 0..most {
            assert_eq!(admit(ssrc, host(1), now), Ok(()));
        }
        assert_eq!(admit(most, host(1), now), Err(RtcpDropped::ssrcs));
        assert_eq!(admit(most, host(2), now), Ok(()));
        assert_eq!(admit(most, host(1), now + FORGOTTEN), Ok(()));
    }

    #[test]
    fn a_picture_loss_is_heard() {
        // RFC 4585 figure 3, with format 1 for a picture loss, and RFC 5104's full intra request.
        let feedback = |format: u8| [&[0x80 | format, 206, 0, 2][..], &[0; 8]].concat();
        for format in 0..32 {
            let compound = [report(7), feedback(format)].concat();
            assert_eq!(wants_keyframe(&compound), [1, 4].contains(&format));
        }
        assert!(!wants_keyframe(&report(7)));
        assert!(!wants_keyframe(&[0x81, 206]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(found) = ssrcs(&bytes) {
                prop_assert!(!found.is_empty() && found.len() <= bytes.len() / 8);
            }
        }

        #[test]
        fn each_packet_of_a_compound_is_seen(all in proptest::collection::vec(any::<u32>(), 1..20)) {
            let compound: Vec<u8> = all.iter().flat_map(|ssrc| report(*ssrc)).collect();
            prop_assert_eq!(ssrcs(&compound), Some(all));
            prop_assert_eq!(ssrcs(&compound[..compound.len() - 1]), None);
        }
    }
}
