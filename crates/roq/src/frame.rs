//! A frame as it goes to every viewer: framed once, and shared.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::framing::{FlowId, datagram, stream};
use crate::varint;

/// What quinn takes of a connection's datagram buffer for each datagram beside its bytes.
const DATAGRAM_OVERHEAD_BYTES: usize = size_of::<Bytes>();

/// A video frame's RTP packets, ready to be sent on the flow [`FlowId::RTP`].
#[derive(Debug)]
pub struct Frame {
    key: bool,
    datagrams: Box<[Bytes]>,
    stream: OnceLock<Bytes>,
}

impl Frame {
    /// Frames `packets`, which are all of a video frame; `key` says whether a decoder can begin with it.
    pub fn new(key: bool, packets: &[Bytes]) -> Self {
        let datagrams = packets.iter().map(|packet| datagram(FlowId::RTP, packet));
        Self {
            key,
            datagrams: datagrams.collect(),
            stream: OnceLock::new(),
        }
    }

    pub const fn is_key(&self) -> bool {
        self.key
    }

    /// Each packet as a datagram.
    pub const fn datagrams(&self) -> &[Bytes] {
        &self.datagrams
    }

    /// All packets as the content of one stream.
    pub fn stream(&self) -> &Bytes {
        self.stream.get_or_init(|| {
            let flow = varint::length(FlowId::RTP.number());
            let packets = self.datagrams.iter().map(|datagram| &datagram[flow..]);
            stream(FlowId::RTP, packets)
        })
    }

    /// Bytes of the largest datagram.
    pub fn largest(&self) -> usize {
        self.datagrams.iter().map(Bytes::len).max().unwrap_or(0)
    }

    /// Bytes that its datagrams take of a connection's buffer.
    pub fn buffered_bytes(&self) -> usize {
        let bytes = self.datagrams.iter().map(Bytes::len).sum::<usize>();
        bytes + self.datagrams.len() * DATAGRAM_OVERHEAD_BYTES
    }
}
