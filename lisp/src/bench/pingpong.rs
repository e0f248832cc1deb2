//! One datagram there and back, again and again: what a packet's way takes.

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::network::{Running, TestNetwork};

/// Bytes of a datagram.
const BYTES: usize = 200;

/// Answers every datagram. It ends when it is killed.
pub fn echo(listen: SocketAddr) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(listen).with_context(|| format!("cannot listen on {listen}"))?;
    let mut buffer = vec![0; 65_536];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer)?;
        // Whoever cannot be reached at this moment sends another.
        let _ = socket.send_to(&buffer[..bytes], from);
    }
}

/// Prints the round trips of `count` datagrams, in nanoseconds, one after the other.
pub fn ping(to: SocketAddr, count: usize, patience: Duration) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    for trip in trips(to, count, patience)? {
        writeln!(stdout, "{trip}")?;
    }
    Ok(())
}

/// The round trips of `count` datagrams from the client to the pod, in microseconds.
pub fn round_trips(network: &TestNetwork, count: usize) -> anyhow::Result<Vec<f64>> {
    let program = network.program()?;
    let address = "10.96.0.10:7";
    let _echo: Running = network.start("pod", program, &["bench", "echo", "--listen", address])?;
    network.await_listener("pod", "-u", "7")?;
    let count = count.to_string();
    let printed = network.call(
        "client",
        program,
        &["bench", "ping", "--to", address, "--count", &count],
    )?;
    let nanoseconds = printed.lines().map(str::parse::<f64>);
    let trips: Result<Vec<_>, _> = nanoseconds.map(|ns| ns.map(|ns| ns / 1e3)).collect();
    trips.context("round trips are numbers")
}

fn trips(to: SocketAddr, count: usize, patience: Duration) -> anyhow::Result<Vec<u64>> {
    let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse()?;
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(patience))?;
    let mut trips = Vec::with_capacity(count);
    let mut lost = 0;
    // The first finds caches cold and is not counted.
    for number in 0..=count as u64 {
        let start = Instant::now();
        if !comes_back(&socket, number) {
            lost += 1;
        } else if number > 0 {
            trips.push(u64::try_from(start.elapsed().as_nanos())?);
        }
        if lost > 10 {
            bail!("{lost} datagrams of {number} did not come back from {to}");
        }
    }
    Ok(trips)
}

/// Sends the datagram of this number and waits for its answer, past answers to those that were given up.
fn comes_back(socket: &UdpSocket, number: u64) -> bool {
    let mut sent = [0; BYTES];
    sent[..8].copy_from_slice(&number.to_be_bytes());
    let mut came = [0; BYTES];
    // Nobody may listen there, which the system says here.
    if socket.send(&sent).is_err() {
        return false;
    }
    loop {
        match socket.recv(&mut came) {
            Ok(length) if came[..length] == sent[..] => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
