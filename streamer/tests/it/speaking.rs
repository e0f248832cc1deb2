//! RTSP spoken by hand, for what no well-behaved viewer would say.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A connection that speaks RTSP.
pub(crate) struct Rtsp<S = TcpStream> {
    pub(crate) stream: S,
    address: SocketAddr,
    sequence: u32,
}

impl Rtsp {
    pub(crate) fn connect(rtsp: SocketAddr) -> Self {
        Self::over(TcpStream::connect(rtsp).unwrap())
    }

    /// Speaks over a connection that is there.
    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let address = stream.peer_addr().unwrap();
        Self::speaking(stream, address)
    }
}

impl<S: Read + Write> Rtsp<S> {
    /// Speaks over whatever leads to `address`.
    pub(crate) fn speaking(stream: S, address: SocketAddr) -> Self {
        Self {
            stream,
            address,
            sequence: 0,
        }
    }

    /// What a request for `path` is for.
    pub(crate) fn uri(&self, path: &str) -> String {
        format!("rtsp://{}/{path}", self.address)
    }

    /// Sends a request and does not wait for the answer.
    pub(crate) fn tell(&mut self, method: &str, path: &str, headers: &[&str]) {
        self.sequence += 1;
        let mut request = format!(
            "{method} {} RTSP/1.0\r\nCSeq: {}\r\n",
            self.uri(path),
            self.sequence
        );
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    /// Sends a request, and returns the head of its answer.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> String {
        self.tell(method, path, headers);
        self.head()
    }

    /// Sets a viewer up; the head of the answer.
    pub(crate) fn setup(&mut self, name: &str, transport: &str, more: &[&str]) -> String {
        let transport = format!("Transport: {transport}");
        let mut headers = vec![transport.as_str()];
        headers.extend(more);
        self.ask("SETUP", &format!("{name}/stream=0"), &headers)
    }

    /// A viewer of `name` that plays; the header with its session.
    pub(crate) fn play(&mut self, name: &str, transport: &str) -> String {
        let set_up = self.setup(name, transport, &[]);
        let session = session(&set_up);
        let plays = self.ask("PLAY", name, &[&session]);
        assert!(plays.starts_with("RTSP/1.0 200"), "{plays}");
        session
    }

    /// The head of the next answer; empty where the connection ends.
    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if self.stream.read_exact(&mut byte).is_err() {
                return String::new();
            }
            if head.is_empty() && byte == *b"$" {
                self.skip_packet();
            } else {
                head.push(byte[0]);
            }
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// Reads the body that `head` announces.
    pub(crate) fn skip_body(&mut self, head: &str) {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.trim().parse().unwrap());
        self.stream.read_exact(&mut vec![0; length]).unwrap();
    }

    /// Sends a packet of RTCP on the channel for it.
    pub(crate) fn report(&mut self, packet: &[u8]) {
        let length = u16::try_from(packet.len()).unwrap().to_be_bytes();
        let framed = [&[b'$', 1][..], &length, packet].concat();
        self.stream.write_all(&framed).unwrap();
    }

    /// The SSRC of the next packet of RTP that comes.
    pub(crate) fn next_ssrc(&mut self) -> [u8; 4] {
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head).unwrap();
            let mut packet = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
            self.stream.read_exact(&mut packet).unwrap();
            if head[..2] == [b'$', 0] {
                return packet[8..12].try_into().unwrap();
            }
        }
    }

    fn skip_packet(&mut self) {
        let mut start = [0; 3];
        if self.stream.read_exact(&mut start).is_ok() {
            let mut packet = vec![0; usize::from(u16::from_be_bytes([start[1], start[2]]))];
            let _ = self.stream.read_exact(&mut packet);
        }
    }
}

/// The header that names the session of an answer to SETUP.
pub(crate) fn session(answer: &str) -> String {
    let header = answer.lines().find(|line| line.starts_with("Session: "));
    let header = header.unwrap_or_else(|| panic!("no session in {answer}"));
    header.split(';').next().unwrap().to_owned()
}
