//! What the streamer counts. Labels are bounded: names by the table's limit, everything else by an enum.

pub mod quic;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use settings::{FeedTransport, Transport};

use crate::feed::counters::Families;
use crate::feed::lease::State;

/// A label that names a feed's state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

/// A label that names a transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransportLabel {
    transport: &'static str,
}

/// A label that names a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    reason: Refused,
}

/// A label that says why a viewer was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabel {
    reason: Dropped,
}

/// The reason why a feed was refused or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the label's value is the word itself")]
pub enum Refused {
    /// The name cannot be a name.
    name,
    /// The name has a living feed with another token.
    taken,
    /// The feed has not the streamer's token.
    token,
    /// The table is full.
    full,
    /// Neither RTP nor MPEG-TS.
    media_type,
    /// Another codec than H.264.
    codec,
    /// The body is not what its type says.
    garbage,
    /// The body ended in the middle of a packet.
    cut,
    /// Something in it is longer than is taken.
    too_long,
    stopping,
}

/// The reason why the streamer ended a viewer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the label's value is the word itself")]
pub enum Dropped {
    /// The viewer did not take its packets in time.
    slow,
    /// The last session on the connection had ended, and no other began.
    idle,
    /// The peer sent no whole request after connecting.
    silent,
    /// The peer sent far more than a request.
    endless,
    /// The peer did not speak RTSP.
    nonsense,
    /// The peer and the port for RTSP over TLS came to no handshake.
    handshake,
    /// The peer asked for more than it has a password for, again and again.
    denied,
    /// There were too many connections.
    crowded,
}

/// A label that says why a viewer was not let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeniedLabel {
    reason: Denied,
}

/// A reason for which a request of a viewer was refused where viewers need a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the label's value is the word itself")]
pub enum Denied {
    /// The request came without a password, as the first one of every player does.
    missing,
    /// The name or the password is none of those that may view.
    wrong,
}

/// A label that says why RTCP was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RtcpLabel {
    reason: RtcpDropped,
}

/// A reason for which an RTCP packet was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the label's value is the word itself")]
pub enum RtcpDropped {
    /// No viewer sends from this address.
    stranger,
    /// The packet is not RTCP.
    malformed,
    /// The packet claims to be from the stream itself.
    own_ssrc,
    /// The sender has used too many SSRCs.
    ssrcs,
    /// The sender sends too often.
    rate,
}

/// The metrics of xr-streamer.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    feeds: Family<StateLabel, Gauge>,
    viewers: Family<TransportLabel, Gauge>,
    begun: Family<TransportLabel, Counter>,
    refused: Family<RefusalLabel, Counter>,
    dropped: Family<DropLabel, Counter>,
    denied: Family<DeniedLabel, Counter>,
    rtcp_dropped: Family<RtcpLabel, Counter>,
    /// Counters of each name.
    pub names: Families,
    /// What is counted of viewers over QUIC.
    pub quic: quic::Counters,
    /// RTSP connections that are open.
    pub connections: Gauge,
    /// Datagrams that the system refused to send.
    pub send_errors: Counter,
}

impl Metrics {
    /// All of them, in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let quic = quic::Counters::register(registry);
        let registry = registry.sub_registry_with_prefix("xr_streamer");
        let all = Self {
            names: Families::register(registry),
            quic,
            ..Self::default()
        };
        registry.register(
            "feeds",
            "Names, by the state of their feed",
            all.feeds.clone(),
        );
        registry.register(
            "viewers",
            "Viewers that play, by transport",
            all.viewers.clone(),
        );
        registry.register(
            "rtsp_connections",
            "Open RTSP connections",
            all.connections.clone(),
        );
        registry.register(
            "begun_feeds",
            "Feeds that began, by transport",
            all.begun.clone(),
        );
        registry.register(
            "refused_feeds",
            "Feeds refused or ended, by reason",
            all.refused.clone(),
        );
        registry.register(
            "dropped_connections",
            "RTSP connections ended by the streamer, by reason",
            all.dropped.clone(),
        );
        registry.register(
            "denied_requests",
            "RTSP requests refused for want of a password, by reason",
            all.denied.clone(),
        );
        registry.register(
            "rtcp_dropped",
            "RTCP packets that were not believed, by reason",
            all.rtcp_dropped.clone(),
        );
        registry.register(
            "udp_send_errors",
            "Datagrams that the system refused to send",
            all.send_errors.clone(),
        );
        for state in State::ALL {
            all.set_feeds(state.as_str(), 0);
        }
        for transport in Transport::ALL {
            all.set_viewers(transport, 0);
        }
        for transport in FeedTransport::ALL {
            let transport = transport.as_str();
            let _ = all.begun.get_or_create(&TransportLabel { transport });
        }
        all
    }

    /// A feed has got its name.
    pub fn feed_begins(&self, transport: FeedTransport) {
        let transport = transport.as_str();
        self.begun
            .get_or_create(&TransportLabel { transport })
            .inc();
    }

    /// A feed was refused or ended.
    pub fn refuse(&self, reason: Refused) {
        self.refused.get_or_create(&RefusalLabel { reason }).inc();
    }

    /// The streamer ended an RTSP connection.
    pub fn drop_connection(&self, reason: Dropped) {
        self.dropped.get_or_create(&DropLabel { reason }).inc();
    }

    /// A viewer's request was refused for want of a password.
    pub fn deny_viewer(&self, reason: Denied) {
        self.denied.get_or_create(&DeniedLabel { reason }).inc();
    }

    /// An RTCP packet was not believed.
    pub fn drop_rtcp(&self, reason: RtcpDropped) {
        self.rtcp_dropped.get_or_create(&RtcpLabel { reason }).inc();
    }

    /// Sets the number of names in `state`.
    pub fn set_feeds(&self, state: &'static str, count: usize) {
        self.feeds
            .get_or_create(&StateLabel { state })
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Sets the number of viewers over `transport`.
    pub fn set_viewers(&self, transport: Transport, count: usize) {
        let transport = transport.as_str();
        self.viewers
            .get_or_create(&TransportLabel { transport })
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}
