//! Viewers by RTP over QUIC: one UDP port, encrypted, beside RTSP.
//!
//! ```text
//!  feed --frame--> room (Outlet), framed once --> sender of each viewer --> connection
//!                                                 RTCP <-------------------
//! ```

mod room;
pub mod server;
