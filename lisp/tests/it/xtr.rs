//! An xTR's control plane on a socket.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lisp::auth::{Algorithm, Key, KeyRing};
use lisp::edge::{Control, EdgeConfig, Event};
use lisp::wire::Identity;

use crate::process::SECRET;

/// How long anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Xtr {
    socket: UdpSocket,
    pub(crate) control: Control,
    pub(crate) address: IpAddr,
}

impl Xtr {
    /// An xTR of a site at 127.0.0.`last`.
    pub(crate) fn new(server: SocketAddr, site_id: u64, last: u8) -> Self {
        let address = IpAddr::from([127, 0, 0, last]);
        let socket = UdpSocket::bind((address, server.port())).unwrap();
        let identity = Identity {
            xtr_id: last.into(),
            site_id,
        };
        let key = Key::new(1, Algorithm::Sha256, SECRET);
        let config = EdgeConfig {
            port: server.port(),
            ..EdgeConfig::new(
                identity,
                server.ip(),
                key,
                KeyRing::new().with(1, SECRET),
                vec![address],
            )
        };
        let begun_ns = service::clock::now().0 * 1_000;
        let random = Box::new(|| getrandom::u64().unwrap());
        Self {
            socket,
            control: Control::new(config, begun_ns, random, Instant::now()),
            address,
        }
    }

    /// Sends, takes what comes within a time at most, and does what is due.
    pub(crate) fn step(&mut self, most: Duration) {
        while let Some(transmit) = self.control.poll_transmit() {
            // Nobody is there while the control plane starts.
            let _ = self.socket.send_to(&transmit.payload, transmit.to);
        }
        let now = Instant::now();
        let next = self.control.next_time().unwrap_or(now + most);
        let wait = next
            .saturating_duration_since(now)
            .clamp(Duration::from_millis(1), most);
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut buffer = [0; 4_096];
        if let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
            // What it ignores is counted.
            let _ = self
                .control
                .handle(source, &buffer[..length], Instant::now());
        }
        self.control.on_time(Instant::now());
    }

    /// Runs until something has happened; how long that took.
    pub(crate) fn until(&mut self, mut is_it: impl FnMut(&Event) -> bool) -> Duration {
        let begun = Instant::now();
        loop {
            while let Some(event) = self.control.poll_event() {
                if is_it(&event) {
                    // What that led to is sent too: an acknowledgement.
                    self.step(Duration::from_millis(1));
                    return begun.elapsed();
                }
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "it did not happen: {:?}",
                self.control.counts()
            );
            self.step(Duration::from_millis(100));
        }
    }

    /// The locator that packets for a service go to becomes this one; how long that took.
    pub(crate) fn until_route(&mut self, wanted: Option<IpAddr>) -> Duration {
        self.until(|event| match event {
            Event::Mapping(mapping) => mapping.choose(0).map(|locator| locator.address) == wanted,
            Event::Gone(_) => wanted.is_none(),
            _ => false,
        })
    }
}
