//! Whether an RTSP server answers at all, asked on a connection of its own, so that a silent session can be told from a
//! dead server.

use std::time::Duration;

use settings::RTSPS_SCHEME;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tls::{self, HEAD};

/// How long the server may take.
const LIMIT: Duration = Duration::from_millis(700);

/// How long it may take over TLS: two round trips more, and cryptography on both sides.
const TLS_LIMIT: Duration = Duration::from_millis(1_500);

/// The port of RTSP (RFC 2326 section 3.2).
const PORT: u16 = 554;

/// The port of RTSP over TLS (RFC 7826 section 4.2).
const TLS_PORT: u16 = 322;

/// What every answer begins with.
const ANSWER: &[u8; HEAD] = b"RTSP/";

/// Sends OPTIONS and waits for anything that begins like an RTSP answer.
pub async fn alive(url: &http::Uri) -> bool {
    let limit = if has_tls(url) { TLS_LIMIT } else { LIMIT };
    tokio::time::timeout(limit, ask(url)).await.unwrap_or(false)
}

/// Tries to connect to the server; the reason why that is not possible, or none.
pub async fn connect_error(url: &http::Uri) -> Option<String> {
    let (host, port) = address(url)?;
    let why = match tokio::time::timeout(LIMIT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) if has_tls(url) => return tls_error(url).await,
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.to_string(),
        Err(_) => silence(LIMIT),
    };
    Some(format!("cannot connect to {host}:{port}: {why}"))
}

/// The reason for which the server cannot be spoken to over TLS, or none.
async fn tls_error(url: &http::Uri) -> Option<String> {
    let (host, port) = address(url)?;
    let asked = tls::exchange(host, port, options(url));
    let why = match tokio::time::timeout(TLS_LIMIT, asked).await {
        Ok(Ok(_)) => return None,
        Ok(Err(error)) => error.message().trim_end_matches('.').to_owned(),
        Err(_) => silence(TLS_LIMIT),
    };
    Some(format!(
        "no TLS with {host}:{port}: {why}; where the server has none at this port, the address begins with rtsp://"
    ))
}

fn silence(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}

fn has_tls(url: &http::Uri) -> bool {
    url.scheme_str() == Some(RTSPS_SCHEME)
}

/// The host of a URL, without the brackets of an IPv6 address; none where the URL has no host.
pub fn bare_host(url: &http::Uri) -> Option<&str> {
    Some(url.host()?.trim_start_matches('[').trim_end_matches(']'))
}

fn address(url: &http::Uri) -> Option<(&str, u16)> {
    let standard = if has_tls(url) { TLS_PORT } else { PORT };
    Some((bare_host(url)?, url.port_u16().unwrap_or(standard)))
}

fn options(url: &http::Uri) -> String {
    format!("OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: xr-client\r\n\r\n")
}

async fn ask(url: &http::Uri) -> bool {
    let Some((host, port)) = address(url) else {
        return false;
    };
    if has_tls(url) {
        return match tls::exchange(host, port, options(url)).await {
            Ok(head) => head == *ANSWER,
            // Who shows a certificate lives; whether it is believed is the session's to say.
            Err(error) => error.matches(gio::TlsError::BadCertificate),
        };
    }
    let Ok(mut stream) = TcpStream::connect((host, port)).await else {
        return false;
    };
    if stream.write_all(options(url).as_bytes()).await.is_err() {
        return false;
    }
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await.is_ok() && head == *ANSWER
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn server(answer: &'static [u8]) -> http::Uri {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        format!("rtsp://127.0.0.1:{port}/demo").parse().unwrap()
    }

    #[tokio::test]
    async fn any_rtsp_answer_is_life() {
        assert!(alive(&server(b"RTSP/1.0 401 Unauthorized\r\n\r\n").await).await);
    }

    #[tokio::test]
    async fn silence_another_protocol_and_a_closed_port_are_not() {
        assert!(!alive(&server(b"").await).await);
        assert!(!alive(&server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await).await);
        // Nobody listens there, and nobody else draws it.
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let port = held.local_addr().unwrap().port();
        let url = format!("rtsp://127.0.0.1:{port}/demo").parse().unwrap();
        assert!(!alive(&url).await);
        let why = connect_error(&url).await.unwrap();
        assert!(
            why.contains(&format!("127.0.0.1:{port}: Connection refused")),
            "{why}"
        );
    }
}
