//! A renderer, a streamer and a client, as far as packets tell: sockets of this program in their namespaces.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{getsockopt, sockopt::TcpMaxSeg};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use testbed::netns::Netns;

/// For what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long nothing comes until nothing is said to come: longer than a busy machine stands still.
const SILENCE: Duration = Duration::from_secs(4);

/// The size of the packet that says that no other follows: each path keeps the order of packets.
const LAST: usize = 1;

/// Enough for a few windows, so that TCP takes the largest segments that it may.
const BYTES: usize = 300_000;

/// What a stream over TCP looked like.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Who it came from, as the streamer sees it.
    pub(crate) peer: IpAddr,
    /// The largest segment that the dialling side sends, in bytes.
    pub(crate) segment_bytes: u32,
}

/// Carries [`BYTES`] both ways over one connection from `from` to what listens at `port` in `to`, dialled at `address`.
pub(crate) fn stream(from: &Netns, address: SocketAddrV4, to: &Netns, port: u16) -> Stream {
    let (viewer, served) = connect(from, address, to, port);
    let segment_bytes = getsockopt(&viewer, TcpMaxSeg).expect("the segment size");
    let peer = served.peer_addr().expect("a peer").ip();
    thread::scope(|scope| {
        let echo = scope.spawn(|| carry(&served));
        carry(&viewer).expect("bytes both ways, as the client sees it");
        let there = echo.join().expect("no panic");
        there.expect("bytes both ways, as the streamer sees it");
    });
    Stream {
        peer,
        segment_bytes,
    }
}

/// Writes and reads at the same time.
fn carry(mut socket: &TcpStream) -> io::Result<()> {
    let mut reader = socket.try_clone()?;
    thread::scope(|scope| {
        let read = scope.spawn(move || reader.read_exact(&mut vec![0; BYTES]));
        socket.write_all(&vec![7; BYTES])?;
        read.join().expect("no panic")
    })
}

fn connect(from: &Netns, address: SocketAddrV4, to: &Netns, port: u16) -> (TcpStream, TcpStream) {
    let listener = to
        .run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
        .expect("the port is free");
    let viewer = from
        .run(|| TcpStream::connect_timeout(&address.into(), PATIENCE))
        .unwrap_or_else(|error| panic!("{address}: {error}"));
    let (served, _) = listener.accept().expect("it is connected");
    for socket in [&viewer, &served] {
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    }
    (viewer, served)
}

/// A client's UDP socket and one that answers it, both of which outlive the addresses that they had.
pub(crate) struct Talk {
    client: UdpSocket,
    server: UdpSocket,
}

impl Talk {
    /// Opens both; the answering one at `port` in `to`.
    pub(crate) fn new(from: &Netns, to: &Netns, port: u16) -> Self {
        let open = |netns: &Netns, port| {
            let socket = netns
                .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))
                .expect("the port is free");
            socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            socket
        };
        Self {
            client: open(from, 0),
            server: open(to, port),
        }
    }

    /// Sends a word to `address` and back; who the answering side sees.
    pub(crate) fn question(&self, address: SocketAddrV4, number: u8) -> SocketAddr {
        let mut word = [0; 1];
        let sent = self.client.send_to(&[number], address);
        sent.expect("a way there");
        let peer = loop {
            let (_, peer) = self.server.recv_from(&mut word).expect("it comes");
            // In `single` the first packet of a flow has been seen to come twice.
            if word == [number] {
                break peer;
            }
        };
        self.server.send_to(b"!", peer).expect("a way back");
        let (_, from) = self.client.recv_from(&mut word).expect("the answer");
        assert_eq!(from, address.into(), "whoever was asked answers");
        peer
    }
}

/// Plays RTSP's part in RTP on UDP: the client connects to `rtsp`, says its UDP port, opens the path to the server's port as
/// RTSP clients do, and asks to play; then `sizes` are sent from `server_port` to that port at the address that the connection
/// came from, in packets that nobody may cut up, and one more that ends them. Returns the sizes that came, in bytes of UDP payload.
pub(crate) fn rtp(
    client: &Netns,
    rtsp: SocketAddrV4,
    streamer: &Netns,
    port: u16,
    server_port: u16,
    sizes: &[usize],
) -> Vec<usize> {
    let (mut viewer, mut served) = connect(client, rtsp, streamer, port);
    let receiver = client
        .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
        .expect("a port");
    let sender = streamer
        .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, server_port)))
        .expect("the port is free");
    set_ip_mtu_discover(&sender, Ipv4PathMtuDiscovery::PROBE).expect("never cut up");
    receiver.set_read_timeout(Some(SILENCE)).expect("a timeout");

    let client_port = receiver.local_addr().expect("an address").port();
    viewer.write_all(&client_port.to_be_bytes()).expect("SETUP");
    let mut said = [0; 2];
    served.read_exact(&mut said).expect("SETUP");
    for _ in 0..2 {
        // Refused is fine: whoever says so has let the packet through.
        let _ = receiver.send_to(b"open", (*rtsp.ip(), server_port));
    }
    viewer.write_all(b"P").expect("PLAY");
    served.read_exact(&mut [0]).expect("PLAY");

    let peer = served.peer_addr().expect("a peer").ip();
    let to = SocketAddr::new(peer, u16::from_be_bytes(said));
    for size in sizes.iter().copied().chain([LAST]) {
        match sender.send_to(&vec![0; size], to) {
            Ok(_) => {}
            // Longer than the first link, or a rule said no.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EMSGSIZE | libc::ECONNREFUSED)
                ) => {}
            Err(error) => panic!("{size} bytes to {to}: {error}"),
        }
    }
    let mut buffer = vec![0; 65_536];
    let received = std::iter::from_fn(|| receiver.recv(&mut buffer).ok());
    received.take_while(|size| *size != LAST).collect()
}
