//! Packets from a connection, whichever way each of them comes: datagrams, and streams of any number of packets.
//!
//! Their order is the jitter buffer's to find, which knows their numbers.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use quinn::{Connection, ConnectionError, ReadError, RecvStream};

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

/// What a stream, or what came of it, was good for.
enum End {
    Good,
    Useless,
}

/// Gives every packet of `flows` to `sink` until the connection ends, and returns why it ended. A peer that sends too much
/// that is of no use is cut off.
pub async fn receive(
    connection: &Connection,
    flows: Flows,
    counters: &Received,
    sink: impl FnMut(Packet) + Send,
) -> ConnectionError {
    // For a moment each, and never while something is awaited.
    let sink = Mutex::new(sink);
    let mut streams = FuturesUnordered::new();
    let mut useless = 0;
    while useless < USELESS_MAX {
        let end = tokio::select! {
            biased;
            datagram = connection.read_datagram() => match datagram {
                Ok(datagram) => take(&datagram, &flows, counters, &sink),
                Err(error) => return error,
            },
            Some(end) = streams.next() => end,
            stream = connection.accept_uni() => match stream {
                Ok(stream) => {
                    streams.push(read(stream, &flows, counters, &sink));
                    End::Good
                }
                Err(error) => return error,
            },
            stream = connection.accept_bi() => match stream {
                Ok(_) => {
                    let why = b"packets come on unidirectional streams";
                    connection.close(Code::StreamCreationError.into(), why);
                    return ConnectionError::LocallyClosed;
                }
                Err(error) => return error,
            },
        };
        useless += u32::from(matches!(end, End::Useless));
    }
    let why = b"too much that is neither RTP nor RTCP of a known flow";
    connection.close(Code::PacketError.into(), why);
    ConnectionError::LocallyClosed
}

fn take(
    datagram: &Bytes,
    flows: &Flows,
    counters: &Received,
    sink: &Mutex<impl FnMut(Packet)>,
) -> End {
    match split(datagram).map(|(flow, packet)| flows.sort(flow, packet)) {
        Ok(Some(packet)) => {
            counters.packets.inc();
            (sink.lock())(packet);
            End::Good
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
    sink: &Mutex<impl FnMut(Packet)>,
) -> End {
    let mut deframer = Deframer::default();
    loop {
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
                let mut sink = sink.lock();
                for packet in packets {
                    if let Some(packet) = flow.and_then(|flow| flows.sort(flow, packet)) {
                        counters.packets.inc();
                        sink(packet);
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
