//! A streamer in a hundred lines: it reads a feed as HTTP and RFC 4571 say, and can be told to be rude.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use media::framing::Deframer;
use media::h264;
use media::rtp::Packet;
use socket2::{Domain, Socket, Type};

/// A port at which nobody listens before the socket does and which nobody else draws, and the URL of a feed there.
pub(crate) fn hold_port() -> (Socket, String) {
    let held = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = held.local_addr().unwrap().as_socket().unwrap();
    (held, format!("http://{address}/feeds/test"))
}

/// A listening server, on any port.
pub(crate) struct Server {
    listener: TcpListener,
}

/// A request, read up to its body.
pub(crate) struct Request {
    /// The request's method and path.
    pub(crate) line: String,
    /// Header lines, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
    deframer: Deframer,
    /// The body has ended as HTTP says it must.
    pub(crate) ended: bool,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        }
    }

    /// The feed's URL here.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/feeds/test", self.listener.local_addr().unwrap())
    }

    /// A connection on which nothing was read yet.
    pub(crate) fn accept(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream
            .set_read_timeout(Some(super::process::PATIENCE))
            .unwrap();
        stream
    }

    /// The next request that carries a feed; requests for events are told that there are none.
    pub(crate) fn accept_feed(&self) -> Request {
        self.accept_request("PUT")
    }

    /// The next request for events.
    pub(crate) fn accept_events(&self) -> Request {
        self.accept_request("GET")
    }

    fn accept_request(&self, method: &str) -> Request {
        loop {
            let mut request = Request::read(self.accept()).unwrap();
            if request.line.starts_with(method) {
                return request;
            }
            let _ = request.answer("404 Not Found", "text/plain", "no");
        }
    }
}

impl Request {
    fn read(stream: TcpStream) -> io::Result<Self> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            stream.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Ok(Self {
            line: line.trim_end().to_owned(),
            headers,
            stream,
            deframer: Deframer::new(1150),
            ended: false,
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn answer(&mut self, status: &str, kind: &str, body: &str) -> io::Result<()> {
        let length = body.len();
        write!(
            self.stream.get_mut(),
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Begins an answer that goes on.
    pub(crate) fn answer_events(&mut self) {
        write!(
            self.stream.get_mut(),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n"
        )
        .unwrap();
    }

    /// Sends bytes of an answer that goes on.
    pub(crate) fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Reads the next packet; none at the end of the body.
    pub(crate) fn packet(&mut self) -> Option<Bytes> {
        loop {
            if let Some(packet) = self.deframer.next_packet().unwrap() {
                return Some(packet);
            }
            if self.ended {
                assert_eq!(
                    self.deframer.pending_bytes(),
                    0,
                    "the body ends with a whole packet"
                );
                return None;
            }
            let chunk = self.chunk().unwrap();
            self.ended = chunk.is_empty();
            self.deframer.push(&chunk);
        }
    }

    /// The packets of the next frame, and whether it is a key frame; none at the end of the body.
    pub(crate) fn frame(&mut self) -> Option<(Vec<Bytes>, bool)> {
        let mut packets = vec![self.packet()?];
        while !Packet::new(packets.last().unwrap()).unwrap().marker() {
            packets.push(self.packet().expect("a frame is not cut off"));
        }
        let key = packets
            .iter()
            .any(|packet| h264::starts_key_frame(Packet::new(packet).unwrap().payload()));
        Some((packets, key))
    }

    /// One chunk of the body, as RFC 9112 frames it.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        self.stream.read_exact(&mut chunk)?;
        assert_eq!(chunk.split_off(length), b"\r\n");
        Ok(chunk)
    }
}
