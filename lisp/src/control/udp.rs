//! The control port: datagrams in and out of the machine, and its time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service::{Shutdown, StartError};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::state::State;
use crate::server::Refused;
use crate::wire::MAX_MESSAGE_BYTES;

/// Datagrams that are taken before what they led to is sent.
const AT_ONCE: usize = 64;

/// The receive buffer, which a cluster that registers everything again fills: thousands of messages at once.
const RECEIVE_BYTES: usize = 8 * 1024 * 1024;

/// How often the machine is looked at though nothing is due.
const LOOK: Duration = Duration::from_secs(1);

/// Binds the control port.
pub(super) fn bind(address: SocketAddr, origin: &str) -> Result<UdpSocket, StartError> {
    let bind = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        // Root may have more than others are let have.
        if nix::sys::socket::setsockopt(
            &socket,
            nix::sys::socket::sockopt::RcvBufForce,
            &RECEIVE_BYTES,
        )
        .is_err()
        {
            socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        UdpSocket::from_std(socket.into())
    };
    bind().map_err(|source| StartError::from_listen(address, origin, source))
}

/// Runs the machine until the shutdown.
pub(super) async fn run(socket: UdpSocket, state: Arc<State>, shutdown: Shutdown) {
    // A byte more than any message has, so that a longer one is seen to be.
    let mut buffer = vec![0; MAX_MESSAGE_BYTES + 1];
    loop {
        send_all(&socket, &state).await;
        let next = state.server.lock().next_time();
        let next = next.unwrap_or_else(|| Instant::now() + LOOK);
        tokio::select! {
            () = shutdown.fired() => return,
            () = state.wake.notified() => {}
            () = tokio::time::sleep_until(next.into()) => {}
            readable = socket.readable() => match readable {
                Ok(()) => take(&socket, &state, &mut buffer),
                Err(error) => tracing::warn!("the control port: {error}"),
            },
        }
        let now = Instant::now();
        let mut server = state.server.lock();
        if server.next_time().is_some_and(|next| next <= now) {
            server.on_time(now);
        }
    }
}

fn take(socket: &UdpSocket, state: &Arc<State>, buffer: &mut [u8]) {
    for _ in 0..AT_ONCE {
        match socket.try_recv_from(buffer) {
            Ok((length, source)) => {
                let result = state
                    .server
                    .lock()
                    .handle(source, &buffer[..length], Instant::now());
                if let Err(refused) = result {
                    tell(source, refused);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::warn!("the control port: {error}");
                return;
            }
        }
    }
}

/// Each is counted too; the log lets through so many lines of one place in a time.
fn tell(source: SocketAddr, refused: Refused) {
    match refused {
        // What an ordinary network leads to.
        Refused::AnsweredLately | Refused::UnknownAck | Refused::Starting(_) => {
            tracing::debug!(%source, "refused: {refused}");
        }
        // A flood has a place of its own in the log, so that it hides no other refusal.
        Refused::TooFast => tracing::warn!(%source, "a flood is refused: {refused}"),
        _ => tracing::warn!(%source, "refused: {refused}"),
    }
}

async fn send_all(socket: &UdpSocket, state: &Arc<State>) {
    loop {
        let transmit = state.server.lock().poll_transmit();
        let Some(transmit) = transmit else {
            return;
        };
        // Whoever has no route to an xTR has it try again, as every loss does.
        if let Err(error) = socket.send_to(&transmit.payload, transmit.to).await {
            tracing::warn!(to = %transmit.to, "cannot send: {error}");
        }
    }
}
