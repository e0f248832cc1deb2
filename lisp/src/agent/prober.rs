//! One probe of a pod.

use std::pin::pin;
use std::time::Duration;

use http::Request;
use http::header::{CONNECTION, HOST};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::machine::Target;

/// Whether the target answers within the time: takes a connection, or serves the page with a status below 400.
pub(crate) async fn probe(target: &Target, limit: Duration) -> bool {
    let attempt = async {
        let stream = TcpStream::connect(target.address).await.ok()?;
        let Some(path) = &target.path else {
            return Some(());
        };
        // What a kubelet's probe counts: the head of the answer, from 200 to 399.
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let request = Request::get(path)
            .header(HOST, target.address.to_string())
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .ok()?;
        let mut answer = pin!(sender.send_request(request));
        let answer = tokio::select! {
            answer = &mut answer => answer,
            // It may have ended because the answer is there.
            _ = connection => answer.await,
        };
        let answer = answer.ok()?;
        (200..400).contains(&answer.status().as_u16()).then_some(())
    };
    let answered = tokio::time::timeout(limit, attempt).await;
    answered.is_ok_and(|answered| answered.is_some())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// For who hangs.
    const LIMIT: Duration = Duration::from_millis(300);

    /// For who answers, on a busy machine.
    const AMPLE: Duration = Duration::from_secs(20);

    fn target(listener: &TcpListener, path: Option<&str>) -> Target {
        Target {
            address: listener.local_addr().unwrap(),
            path: path.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn a_pod_answers_refuses_or_hangs() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = target(&listener, None);
        let http = target(&listener, Some("/ready"));
        assert!(probe(&tcp, AMPLE).await);
        assert!(
            !probe(&http, LIMIT).await,
            "it takes connections, and hangs"
        );
        for (status, is_good) in [("200 OK", true), ("302 Found", true), ("503 Gone", false)] {
            let serve = async {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut head = [0; 512];
                    let length = stream.read(&mut head).await.unwrap();
                    let head = String::from_utf8_lossy(&head[..length]).into_owned();
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    if head.starts_with("GET /ready HTTP/1.1\r\n") {
                        // Who asked before may have gone.
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            };
            tokio::select! {
                answered = probe(&http, AMPLE) => assert_eq!(answered, is_good, "{status}"),
                () = serve => unreachable!("it serves for good"),
            }
        }
        drop(listener);
        assert!(!probe(&tcp, LIMIT).await, "nobody listens");
    }
}
