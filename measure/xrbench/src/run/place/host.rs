//! This host as a place: processes beside the runner, on its loopback, on ports that they draw themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;
use testbed::{Spec, Testbed};

use super::workload::Workload;
use crate::run::addresses::ListenAddresses;

/// The loopback address on which everything listens.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// This host as the place of a repetition.
#[derive(Debug)]
pub(in crate::run) struct HostPlace {
    testbed: Testbed,
}

impl HostPlace {
    pub(in crate::run) const fn new(testbed: Testbed) -> Self {
        Self { testbed }
    }

    pub(in crate::run) fn start(&self, spec: Spec) -> anyhow::Result<Workload> {
        Ok(Workload::new(self.testbed.start(spec)?))
    }

    pub(super) const fn collector() -> SocketAddr {
        SocketAddr::new(LOOPBACK, 0)
    }

    /// Ports are drawn here for a streamer that does not announce those that it drew.
    pub(super) fn listen(announces: bool) -> anyhow::Result<ListenAddresses> {
        if announces {
            return Ok(ListenAddresses::drawn());
        }
        // Both at once, so that they differ; they are free again when this returns.
        let drawn = [free()?, free()?];
        let address = |one: &TcpListener| one.local_addr().map(|address| address.to_string());
        Ok(ListenAddresses {
            http: address(&drawn[0])?,
            rtsp: address(&drawn[1])?,
            ..ListenAddresses::drawn()
        })
    }
}

fn free() -> anyhow::Result<TcpListener> {
    TcpListener::bind((LOOPBACK, 0)).context("no port is free for another server")
}
