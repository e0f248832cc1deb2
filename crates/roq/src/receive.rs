//! Packets from a connection, whichever way each of them comes: datagrams, and streams of any number of packets.
//!
//! Their order is the jitter buffer's to find, which knows their numbers.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use quinn::{Connection, ConnectionError, ReadError, RecvStream};
use tokio::time::Instant;

use crate::codes::Code;
use crate::counters::Received;
use crate::framing::{Deframer, FlowId, Malformed, split};

/// Datagrams and streams of no use that a peer may send before its connection is ended.
const USELESS_MAX: u32 = 64;

/// The most bytes of a stream that are looked at in one piece.
const CHUNK_BYTES: usize = 64 * 1024;

/// The flows that are expected on a connection.
#[derive(Clone, Copy, Debug)]
pub struct Flows {
    /// Absent where no RTP may come.
    pub rtp: Option<FlowId>,
    pub rtcp: FlowId,
}

/// A packet of an expected flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Rtp(Bytes),
    Rtcp(Bytes),
}

impl Flows {
    fn sort(&self, flow: FlowId, packet: Bytes) -> Option<Packet> {
        if Some(flow) == self.rtp {
            Some(Packet::Rtp(packet))
        } else if flow == self.rtcp {
            Some(Packet::Rtcp(packet))
        } else {
            None
        }
    }
}

/// What is to be done after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Go,
    /// Nothing more is read for so long.
    Wait(Duration),
    /// Nothing more is read.
    End,
}

/// What a stream, or what came of it, was good for.
enum End {
    Good,
    Useless,
    Wait(Duration),
    /// The sink wants no more.
    Last,
}

/// Who takes the packets of all streams and datagrams, one after the other.
struct Taker<F> {
    /// Locked for a moment each, and never while something is awaited.
    sink: Mutex<F>,
    /// Nothing more is read before.
    resume: Mutex<Instant>,
}

impl<F: FnMut(Packet) -> Then> Taker<F> {
    fn give(&self, packet: Packet) -> Then {
        (self.sink.lock())(packet)
    }

    /// Reads nothing more for this `time`, from whatever stream.
    async fn wait(&self, time: Duration) {
        *self.resume.lock() = Instant::now() + time;
        self.turn().await;
    }

    /// Waits until something more may be read.
    async fn turn(&self) {
        loop {
            let resume = *self.resume.lock();
            if resume <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(resume).await;
        }
    }
}

impl From<Then> for End {
    fn from(then: Then) -> Self {
        match then {
            Then::Go => Self::Good,
            Then::Wait(time) => Self::Wait(time),
            Then::End => Self::Last,
        }
    }
}

/// Gives every packet of `flows` to `sink` until the connection ends, and returns why it ended. A peer that sends too much
/// that is of no use is cut off.
pub async fn receive(
    connection: &Connection,
    flows: Flows,
    counters: &Received,
    mut sink: impl FnMut(Packet) + Send,
) -> ConnectionError {
    receive_while(connection, flows, counters, |packet| {
        sink(packet);
        Then::Go
    })
    .await
}

/// The same as [`receive`] for a sink that may slow the peer down, or want no more of it.
pub async fn receive_while(
    connection: &Connection,
    flows: Flows,
    counters: &Received,
    sink: impl FnMut(Packet) -> Then + Send,
) -> ConnectionError {
    let taker = Taker {
        sink: Mutex::new(sink),
        resume: Mutex::new(Instant::now()),
    };
    let mut streams = FuturesUnordered::new();
    let mut useless = 0;
    let ended = loop {
        if useless >= USELESS_MAX {
            let why = b"too much that is neither RTP nor RTCP of a known flow";
            connection.close(Code::PacketError.into(), why);
            return ConnectionError::LocallyClosed;
        }
        let end = tokio::select! {
            biased;
            datagram = connection.read_datagram() => match datagram {
                Ok(datagram) => take(&datagram, &flows, counters, &taker),
                Err(error) => break error,
            },
            Some(end) = streams.next() => end,
            stream = connection.accept_uni() => match stream {
                Ok(stream) => {
                    streams.push(read(stream, &flows, counters, &taker));
                    End::Good
                }
                Err(error) => break error,
            },
            stream = connection.accept_bi() => match stream {
                Ok(_) => {
                    let why = b"packets come on unidirectional streams";
                    connection.close(Code::StreamCreationError.into(), why);
                    return ConnectionError::LocallyClosed;
                }
                Err(error) => break error,
            },
        };
        match end {
            End::Good => {}
            End::Useless => useless += 1,
            End::Wait(time) => taker.wait(time).await,
            End::Last => return ConnectionError::LocallyClosed,
        }
    };
    // What had come before the end is not lost with it.
    while let Ok(stream) = connection.accept_uni().await {
        streams.push(read(stream, &flows, counters, &taker));
    }
    while let Some(end) = streams.next().await {
        if matches!(end, End::Last) {
            break;
        }
    }
    ended
}

fn take(
    datagram: &Bytes,
    flows: &Flows,
    counters: &Received,
    taker: &Taker<impl FnMut(Packet) -> Then>,
) -> End {
    match split(datagram).map(|(flow, packet)| flows.sort(flow, packet)) {
        Ok(Some(packet)) => {
            counters.packets.inc();
            taker.give(packet).into()
        }
        Ok(None) => {
            counters.unknown_flows.inc();
            End::Useless
        }
        Err(_) => {
            counters.malformed.inc();
            End::Useless
        }
    }
}

async fn read(
    mut stream: RecvStream,
    flows: &Flows,
    counters: &Received,
    taker: &Taker<impl FnMut(Packet) -> Then>,
) -> End {
    let mut deframer = Deframer::default();
    loop {
        taker.turn().await;
        let garbage = match stream.read_chunk(CHUNK_BYTES, true).await {
            Ok(Some(chunk)) => {
                let mut packets = Vec::new();
                let pushed = deframer.push(&chunk.bytes, |packet| packets.push(packet));
                let flow = deframer.flow();
                if flow.is_some_and(|flow| flows.sort(flow, Bytes::new()).is_none()) {
                    counters.unknown_flows.inc();
                    // One that has been cancelled meanwhile needs no telling.
                    let _ = stream.stop(Code::UnknownFlowId.into());
                    return End::Useless;
                }
                for packet in packets {
                    let Some(packet) = flow.and_then(|flow| flows.sort(flow, packet)) else {
                        continue;
                    };
                    counters.packets.inc();
                    match taker.give(packet) {
                        Then::Go => {}
                        Then::Wait(time) => taker.wait(time).await,
                        Then::End => return End::Last,
                    }
                }
                pushed.err()
            }
            Ok(None) => match deframer.end() {
                Ok(()) => return End::Good,
                Err(cut) => Some(cut),
            },
            Err(ReadError::Reset(_)) => {
                counters.cancelled.inc();
                return End::Good;
            }
            // The connection says so itself.
            Err(_) => return End::Good,
        };
        if let Some(garbage) = garbage {
            return give_up(stream, garbage, counters);
        }
    }
}

fn give_up(mut stream: RecvStream, why: Malformed, counters: &Received) -> End {
    counters.malformed.inc();
    tracing::debug!(%why, "a stream is not read on");
    let _ = stream.stop(Code::PacketError.into());
    End::Useless
}
