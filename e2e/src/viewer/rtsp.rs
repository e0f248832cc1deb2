//! The RTSP connection of a viewer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::shared::Shared;

/// No answer takes longer, even on a busy machine.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Answer {
    status: String,
    headers: HashMap<String, String>,
    body: String,
}

#[derive(Debug)]
pub(super) struct Connection {
    url: String,
    write: OwnedWriteHalf,
    answers: mpsc::Receiver<Answer>,
    reading: JoinHandle<()>,
    sequence: u32,
    session: Option<String>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Connection {
    pub(super) async fn open(url: &str, shared: Arc<Shared>) -> Result<Self, String> {
        let host = url
            .strip_prefix("rtsp://")
            .and_then(|rest| rest.split('/').next());
        let host = host.ok_or_else(|| format!("{url} is no RTSP URL"))?;
        let stream = TcpStream::connect(host)
            .await
            .map_err(|error| format!("{host}: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let (read, write) = stream.into_split();
        let (answered, answers) = mpsc::channel(4);
        let reading = tokio::spawn(async move {
            // The end of the connection shows as the end of the answers.
            let _ = read_on(BufReader::new(read), &shared, &answered).await;
        });
        Ok(Self {
            url: url.to_owned(),
            write,
            answers,
            reading,
            sequence: 0,
            session: None,
        })
    }

    async fn ask(&mut self, method: &str, url: &str, header: &str) -> Result<Answer, String> {
        self.sequence += 1;
        let session = self
            .session
            .as_ref()
            .map_or_else(String::new, |id| format!("Session: {id}\r\n"));
        let request = format!(
            "{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{session}{header}\r\n",
            self.sequence
        );
        self.write
            .write_all(request.as_bytes())
            .await
            .map_err(|error| format!("{method}: {error}"))?;
        let answer = timeout(ANSWER_PATIENCE, self.answers.recv()).await;
        let answer = answer.map_err(|_| format!("no answer to {method}"))?;
        let answer = answer.ok_or_else(|| format!("the connection ended at {method}"))?;
        if answer.status.split(' ').nth(1) != Some("200") {
            return Err(format!("{method} {url}: {}", answer.status));
        }
        Ok(answer)
    }

    /// Gives back the URL of the video.
    pub(super) async fn describe(&mut self) -> Result<String, String> {
        let url = self.url.clone();
        let answer = self
            .ask("DESCRIBE", &url, "Accept: application/sdp\r\n")
            .await?;
        let base = answer
            .headers
            .get("content-base")
            .unwrap_or(&url)
            .trim_end_matches('/')
            .to_owned();
        let media = answer
            .body
            .split_once("m=video")
            .ok_or("the SDP has no video")?
            .1;
        let control = media
            .lines()
            .find_map(|line| line.trim().strip_prefix("a=control:"));
        let control = control.ok_or("the SDP names no control")?;
        Ok(if control.starts_with("rtsp://") {
            control.to_owned()
        } else {
            format!("{base}/{control}")
        })
    }

    pub(super) async fn setup(
        &mut self,
        media: &str,
        ports: Option<(u16, u16)>,
    ) -> Result<(), String> {
        let transport = ports.map_or_else(
            || "RTP/AVP/TCP;unicast;interleaved=0-1".to_owned(),
            |(rtp, rtcp)| format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
        );
        let answer = self
            .ask("SETUP", media, &format!("Transport: {transport}\r\n"))
            .await?;
        let session = answer
            .headers
            .get("session")
            .ok_or("SETUP gave no session")?;
        self.session = session.split(';').next().map(|id| id.trim().to_owned());
        Ok(())
    }

    pub(super) async fn play(&mut self) -> Result<(), String> {
        let url = self.url.clone();
        self.ask("PLAY", &url, "Range: npt=now-\r\n")
            .await
            .map(drop)
    }

    pub(super) async fn keep_alive(&mut self) -> Result<(), String> {
        let url = self.url.clone();
        self.ask("GET_PARAMETER", &url, "").await.map(drop)
    }
}

/// Takes answers and interleaved packets (RFC 2326 section 10.12) apart, to the end of the connection.
async fn read_on(
    mut from: BufReader<OwnedReadHalf>,
    shared: &Shared,
    answered: &mpsc::Sender<Answer>,
) -> std::io::Result<()> {
    let mut packet = Vec::new();
    loop {
        let first = from.read_u8().await?;
        if first == b'$' {
            let channel = from.read_u8().await?;
            packet.resize(usize::from(from.read_u16().await?), 0);
            from.read_exact(&mut packet).await?;
            if channel == 0 {
                shared.packet(&packet);
            }
            continue;
        }
        let mut status = String::from(char::from(first));
        from.read_line(&mut status).await?;
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            from.read_line(&mut line).await?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers
            .get("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0_u16);
        let mut body = vec![0; usize::from(length)];
        from.read_exact(&mut body).await?;
        let answer = Answer {
            status: status.trim_end().to_owned(),
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        if answered.send(answer).await.is_err() {
            return Ok(());
        }
    }
}
