//! Viewers and feeds by RTP over QUIC: one UDP port, encrypted, beside RTSP and HTTP.
//!
//! ```text
//!  feed --frame--> room (Outlet), framed once --> sender of each viewer --> connection
//!                                                 RTCP <-------------------
//!
//!  connection --packets--> reorder, intake --frame--> feed
//!             <--wishes for key frames, or why not--
//! ```

mod feeding;
mod room;
pub mod server;
