//! The last words to a peer whose connection is not served.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::problem::Problem;

/// How long, and how much, such a peer is listened to.
const FAREWELL: Duration = Duration::from_millis(500);
const FAREWELL_BYTES: u64 = 64 * 1024;

/// Tells the peer why it is turned away, and reads what it has sent: closing with bytes unread would take the answer away.
pub(super) async fn farewell(mut stream: TcpStream, why: &Problem) {
    let status = StatusCode::from_u16(why.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = why.to_json();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        Problem::CONTENT_TYPE,
        body.len()
    );
    let farewell = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut unread = stream.take(FAREWELL_BYTES);
        tokio::io::copy(&mut unread, &mut tokio::io::sink()).await
    };
    // A courtesy: the peer learns the same from the closed connection.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}
