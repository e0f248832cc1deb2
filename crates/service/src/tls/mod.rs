//! TLS for what leaves the machine (feature `tls`): certificates and keys out of PEM files, the two sides' arguments and
//! configurations, and what a handshake that failed means to whoever set it up.
//!
//! Both sides speak TLS 1.2 or newer, and HTTP/1.1 on it.

mod args;
mod pem;
mod renewed;
mod trouble;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use args::{CA_ORIGIN, CaArgs, TlsArgs};
pub use pem::{Identity, PemFile};
pub use renewed::Renewed;
pub use trouble::trouble;

/// What is spoken on a connection (ALPN).
const HTTP_1_1: &[u8] = b"http/1.1";

/// The cryptography of both sides.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
