//! The ports for RTSP, of which one may speak TLS.

use std::io;

use tokio::net::TcpListener;

use super::accept::{Arrivals, Wire};
use super::tls::Tls;
use service::Shutdown;

/// The listening sockets.
#[derive(Debug)]
pub struct Ports {
    /// Where RTSP is spoken as it is.
    pub plain: TcpListener,
    /// Where it is spoken over TLS, if anywhere.
    pub tls: Option<(TcpListener, Tls)>,
}

impl Ports {
    /// Each port's name with its address.
    pub fn addresses(&self) -> io::Result<Vec<(&'static str, String)>> {
        let mut all = vec![("rtsp", self.plain.local_addr()?.to_string())];
        if let Some((listener, _)) = &self.tls {
            all.push(("rtsps", listener.local_addr()?.to_string()));
        }
        Ok(all)
    }

    /// Accepts connections for `arrivals` until `shutdown` fires. When it returns none is on its way any more.
    pub async fn accept(self, arrivals: Arrivals, shutdown: Shutdown) {
        let plain = arrivals.accept(self.plain, Wire::Plain, &shutdown);
        let tls = async {
            if let Some((listener, tls)) = self.tls {
                arrivals.accept(listener, Wire::Tls(tls), &shutdown).await;
            }
        };
        tokio::join!(plain, tls);
    }
}
