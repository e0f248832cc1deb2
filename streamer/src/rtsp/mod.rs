//! Viewers: an RTSP server whose medias are fed by [`source`] straight from the feed's own thread.
//!
//! ```text
//!  feed --frame--> pay0 (RelaySource) --> rtpbin --> tee --> multiudpsink   one for all viewers on UDP
//!                                                    |
//!                                                    +-----> appsink        one for all viewers on TCP, behind a backlog
//! ```

pub mod accept;
mod backlog;
mod connection;
pub mod current;
mod departed;
mod door;
pub mod factory;
pub mod rtcp;
pub mod server;
pub mod slow;
pub mod source;
pub mod transport;
pub mod viewers;
