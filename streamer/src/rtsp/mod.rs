//! Viewers: an RTSP server whose medias are fed by [`source`] straight from the feed's own thread.
//!
//! ```text
//!  feed --frame--> pay0 (RelaySource) --> rtpbin --> tee --> multiudpsink   one for all viewers on UDP
//!                                                    |
//!                                                    +-----> appsink        one for all viewers on TCP, behind a backlog
//! ```
//!
//! A connection comes to one of the [`ports`], waits in [`accept`] until it has begun like RTSP, behind [`tls`] where the port
//! speaks that, and belongs to [`server`] from then on.

pub mod accept;
mod backlog;
pub mod beginning;
pub mod bounds;
mod connection;
pub mod credentials;
pub mod current;
mod departed;
mod door;
pub mod factory;
mod handshakes;
mod loopback;
mod place;
pub mod ports;
pub mod rtcp;
pub mod server;
mod shared;
pub mod slow;
pub mod source;
pub mod tls;
pub mod transport;
pub mod viewers;
