//! The ports of the programs in their pods: of a lab, and of `k8s/base`.

use settings::Role;

/// The streamer's port for feeds.
pub(super) const FEED_PORT: u16 = 8080;

/// The streamer's port for viewers.
pub(super) const RTSP_PORT: u16 = 8554;

/// The streamer's UDP port for viewers over QUIC.
pub(super) const QUIC_PORT: u16 = 8555;

/// A port of a program that speaks HTTP.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) enum HttpPort<'a> {
    /// The streamer's port for feeds, and where a process listens for them.
    Feeds(&'a str),
    /// The ops port, which a process announces.
    Ops,
}

impl HttpPort<'_> {
    /// The port's number in a pod.
    pub(super) const fn in_pod(self, role: Role) -> u16 {
        match self {
            Self::Feeds(_) => FEED_PORT,
            Self::Ops => ops_port(role),
        }
    }
}

/// The ops port of a program.
pub(super) const fn ops_port(role: Role) -> u16 {
    match role {
        Role::Renderer => 9091,
        Role::Streamer => 9092,
        Role::Client => 9093,
    }
}
