//! One HTTP connection to the streamer, tuned so that a stalled peer is noticed instead of buffered for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use service::Secret;
use service::http::Problem;
use settings::FeedUrl;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::body::RequestBody;

/// How long a handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// How long one address may take to accept.
const CONNECT: Duration = Duration::from_secs(1);
/// Bytes that may wait in the kernel without having been sent: about one frame. What has been sent and is on its way is
/// not limited by it, so that a long path keeps its throughput.
const UNSENT_BYTES: u32 = 16 * 1024;
/// After this long without an acknowledgement the peer is taken for gone: a node that vanished sends no reset.
const UNACKNOWLEDGED: Duration = Duration::from_secs(2);
/// hyper's own buffer, at its least: frames wait in the outbox, where they can still be dropped.
const WRITE_BUFFER_BYTES: usize = 8 * 1024;
/// Bytes that TLS may hold that the kernel does not take: a record, which is the least that it can do with.
const TLS_BUFFER_BYTES: usize = 16 * 1024;
/// The most that is read of a refusal.
const REFUSAL_BYTES: usize = 64 * 1024;
/// How long a refusal's body may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What HTTP is spoken on: TCP, or TLS on it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that can take one request.
pub(super) struct Connection {
    /// The end that requests are given to.
    pub(super) sender: http1::SendRequest<RequestBody>,
    /// The future that moves the bytes; it must be polled until it ends.
    pub(super) driver: http1::Connection<TokioIo<Box<dyn Stream>>, RequestBody>,
}

/// Connects to `url`, trying each of its addresses, and over TLS if there is a configuration for it.
pub(super) async fn dial(url: &FeedUrl, tls: Option<&Arc<ClientConfig>>) -> io::Result<Connection> {
    let addresses = tokio::net::lookup_host((url.host(), url.port())).await?;
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => return open(stream, url, tls).await,
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn open(
    stream: TcpStream,
    url: &FeedUrl,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    let stream: Box<dyn Stream> = match tls {
        Some(config) => Box::new(encrypted(stream, url, config).await?),
        None => Box::new(stream),
    };
    let (sender, driver) = http1::Builder::new()
        .max_buf_size(WRITE_BUFFER_BYTES)
        .writev(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    Ok(Connection { sender, driver })
}

async fn encrypted(
    stream: TcpStream,
    url: &FeedUrl,
    config: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(url.host().to_owned()).map_err(io::Error::other)?;
    let shaken = TlsConnector::from(Arc::clone(config)).connect_with(name, stream, |session| {
        // Frames wait in the outbox, where they can still be dropped.
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES));
    });
    let late = |_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no answer to the TLS handshake",
        ))
    };
    tokio::time::timeout(HANDSHAKE, shaken)
        .await
        .unwrap_or_else(late)
}

/// Who feeds, as the streamer is told.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What the name is kept by until the streamer forgets it; the user gave it.
    pub token: Option<Secret>,
    /// What this process comes back to its name by after it lost the connection.
    pub process: Secret,
}

/// The request that carries the feed.
pub(super) fn put(
    url: &FeedUrl,
    sender: &Sender,
    sprop: Option<&str>,
    body: RequestBody,
) -> Request<RequestBody> {
    let mut kind =
        "application/x-rtp-stream; media=video; clock-rate=90000; encoding-name=H264; payload=96"
            .to_owned();
    if let Some(sets) = sprop {
        kind.push_str("; sprop-parameter-sets=\"");
        kind.push_str(sets);
        kind.push('"');
    }
    request(
        http::Method::PUT,
        url,
        url.path().to_owned(),
        sender,
        body,
        (header::CONTENT_TYPE, kind),
    )
}

/// The request for the feed's events.
pub(super) fn get_events(
    url: &FeedUrl,
    sender: &Sender,
    body: RequestBody,
) -> Request<RequestBody> {
    let accept = (header::ACCEPT, "text/event-stream".to_owned());
    request(
        http::Method::GET,
        url,
        url.events_path(),
        sender,
        body,
        accept,
    )
}

fn request(
    method: http::Method,
    url: &FeedUrl,
    path: String,
    sender: &Sender,
    body: RequestBody,
    (name, value): (header::HeaderName, String),
) -> Request<RequestBody> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, url.authority())
        .header(
            header::USER_AGENT,
            concat!("xr-renderer/", env!("CARGO_PKG_VERSION")),
        )
        .header("xr-process", sender.process.expose())
        .header(name, value);
    if let Some(token) = &sender.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    request
        .body(body)
        .expect("path, host and token were checked when they were read, and the rest is ours")
}

/// What a refusal for the length of a body means that the streamer did not say.
const LIMITED: &str = "something between here and the streamer limits the length of a request's body, and a feed has no end; lift \
                       that limit (nginx: client_max_body_size 0, and proxy_request_buffering off)";

/// Whether somebody between here and the streamer refused the length of a body.
pub(super) fn is_limited(response: &Response<Incoming>) -> bool {
    let is_ours = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == Problem::CONTENT_TYPE);
    response.status() == http::StatusCode::PAYLOAD_TOO_LARGE && !is_ours
}

/// A refusal in the streamer's own words.
pub(super) async fn refusal(response: Response<Incoming>) -> String {
    let status = response.status();
    if is_limited(&response) {
        return format!("{status}: {LIMITED}");
    }
    let body = Limited::new(response.into_body(), REFUSAL_BYTES).collect();
    let bytes = match tokio::time::timeout(REFUSAL_TIME, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => bytes::Bytes::new(),
    };
    let text = Problem::told(&bytes);
    if text.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {text}")
    }
}
