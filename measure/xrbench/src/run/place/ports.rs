//! The ports of the programs in their pods: of a lab, and of `k8s/base`.

use settings::Role;

/// The streamer's port for feeds.
pub(in crate::run) const FEED_PORT: u16 = 8080;

/// The streamer's port for viewers.
pub(super) const RTSP_PORT: u16 = 8554;

/// The streamer's UDP port for viewers over QUIC.
pub(super) const QUIC_PORT: u16 = 8555;

/// The ops port of a program.
pub(in crate::run) const fn ops_port(role: Role) -> u16 {
    match role {
        Role::Renderer => 9091,
        Role::Streamer => 9092,
        Role::Client => 9093,
    }
}
