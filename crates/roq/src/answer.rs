//! A server's side of what is said before packets flow.

use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, SendStream};

use crate::codes::Code;
use crate::framing::FlowId;
use crate::listen::explain;
use crate::signal::{self, Answer, Declined, Playing, REQUEST_BYTES_MAX, Request, Taking, Told};
use crate::transport;

/// How long a client may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(3);

/// How long a client may take to read that it is refused.
const FAREWELL: Duration = Duration::from_secs(1);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Asked {
    connection: Connection,
    answer: SendStream,
    pub request: Request,
}

/// Waits for a client's request. The reason, where none comes that can be understood; the client has been told.
pub async fn asked(connection: &Connection) -> Result<Asked, String> {
    let request = async {
        let (answer, mut request) = connection
            .accept_bi()
            .await
            .map_err(|error| (Code::GeneralError, explain(&error)))?;
        let bytes = request
            .read_to_end(REQUEST_BYTES_MAX)
            .await
            .map_err(|error| (Code::PacketError, error.to_string()))?;
        let request = signal::read::<Request>(&bytes).map_err(|error| match error {
            signal::Unintelligible::Flow(_) => (Code::StreamCreationError, error.to_string()),
            _ => (Code::PacketError, error.to_string()),
        })?;
        Ok((answer, request))
    };
    let heard = tokio::time::timeout(REQUEST, request).await;
    let heard = heard.unwrap_or_else(|_| {
        let why = format!("no request within {} s", REQUEST.as_secs());
        Err((Code::GeneralError, why))
    });
    match heard {
        Ok((answer, request)) => Ok(Asked {
            connection: connection.clone(),
            answer,
            request,
        }),
        Err((code, why)) => {
            connection.close(code.into(), why.as_bytes());
            Err(why)
        }
    }
}

impl Asked {
    /// Says that the feed comes.
    pub async fn play(mut self, playing: Playing) -> Result<(), String> {
        self.say(&Answer::Playing(playing)).await
    }

    /// The way to tell a client about the feed that it offers.
    pub fn voice(self) -> Voice {
        Voice {
            connection: self.connection,
            answer: self.answer,
            begins: true,
        }
    }

    /// Says why the feed does not come, and ends the connection.
    pub async fn refuse(mut self, why: &str) {
        if self.say(&Answer::Refused(why.to_owned())).await.is_ok() {
            // The client ends the connection once it has read why.
            let _ = tokio::time::timeout(FAREWELL, self.connection.closed()).await;
        }
        self.connection.close(Code::NoError.into(), why.as_bytes());
    }

    async fn say(&mut self, answer: &Answer) -> Result<(), String> {
        let bytes = Bytes::from(signal::write(answer));
        self.answer
            .write_chunk(bytes)
            .await
            .map_err(|error| error.to_string())?;
        self.answer.finish().map_err(|error| error.to_string())
    }
}

/// What a server has to say to a client that feeds it, word by word.
#[derive(Debug)]
pub struct Voice {
    connection: Connection,
    answer: SendStream,
    /// Nothing was said yet.
    begins: bool,
}

impl Voice {
    /// Takes the feed: from now on the client may send as much at a time as a feed needs.
    pub async fn take(&mut self) -> Result<(), String> {
        transport::open_for_feed(&self.connection);
        let rtp_flow = FlowId::RTP.number();
        self.say(&Told::Taking(Taking { rtp_flow })).await
    }

    /// Asks for a key frame.
    pub async fn ask(&mut self) -> Result<(), String> {
        self.say(&Told::Keyframe).await
    }

    /// Says why the feed is not taken, or not any longer, and ends the connection.
    pub async fn decline(mut self, declined: Declined) {
        let why = declined.why.clone();
        // One that reads nothing is told by the end of the connection alone.
        let told = tokio::time::timeout(FAREWELL, async {
            self.say(&Told::Declined(declined)).await?;
            let _ = self.answer.finish();
            self.connection.closed().await;
            Ok::<_, String>(())
        });
        let _ = told.await;
        let code = Code::ExpectationUnmet.into();
        self.connection.close(code, why.as_bytes());
    }

    async fn say(&mut self, told: &Told) -> Result<(), String> {
        let begins = std::mem::replace(&mut self.begins, false);
        let bytes = signal::word(told, begins);
        let written = self.answer.write_chunk(bytes).await;
        written.map_err(|error| error.to_string())
    }
}
