//! A viewer that takes a stream and looks at no picture: RTSP (RFC 2326) as far as playing needs it, RTP over UDP or
//! interleaved in the connection, and a count of sequence numbers. It is light, so that twenty of them leave the machine
//! to the streamer, and it shares no code with the streamer or the client, so that it can contradict them.

mod count;
pub(crate) mod quic;
mod rtsp;
mod session;
mod shared;
mod udp;

pub use count::Seen;
pub use session::Viewer;
