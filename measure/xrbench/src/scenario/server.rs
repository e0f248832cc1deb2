//! Another RTSP server in the streamer's place.

use serde::{Deserialize, Serialize};

/// What is between renderer and client instead of xr-streamer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The command line, split as a shell would.
    pub command: String,
    /// Where it takes the video: `rtsp://` for RTSP RECORD, `http://` for the ingest of xr-streamer.
    pub feed: String,
    /// Where it serves it.
    pub stream: String,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            command: String::new(),
            feed: "rtsp://{rtsp}/xr".to_owned(),
            stream: "rtsp://{rtsp}/xr".to_owned(),
        }
    }
}

/// Addresses of another server, for the words in braces of its [`Server`].
#[derive(Clone, Copy, Debug)]
pub struct ServerAddresses<'a> {
    /// `{rtsp}`: HOST:PORT of its RTSP.
    pub rtsp: &'a str,
    /// `{http}`: HOST:PORT of its HTTP.
    pub http: &'a str,
}

impl ServerAddresses<'_> {
    fn put_into(self, text: &str) -> String {
        let port = |address: &str| {
            address
                .rsplit_once(':')
                .map_or_else(String::new, |(_, port)| port.to_owned())
        };
        text.replace("{rtsp}", self.rtsp)
            .replace("{rtsp_port}", &port(self.rtsp))
            .replace("{http}", self.http)
            .replace("{http_port}", &port(self.http))
    }
}

impl Server {
    /// The program and its arguments, told to listen at `at`. Empty only if its check fails.
    pub fn words(&self, at: ServerAddresses<'_>) -> Vec<String> {
        let words = shlex::split(&self.command).unwrap_or_default();
        words.iter().map(|word| at.put_into(word)).collect()
    }

    /// Where the renderer finds it at `at`.
    pub fn feed(&self, at: ServerAddresses<'_>) -> String {
        at.put_into(&self.feed)
    }

    /// Where the client finds it at `at`.
    pub fn stream(&self, at: ServerAddresses<'_>) -> String {
        at.put_into(&self.stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces_become_addresses() {
        let server = Server {
            command: "'the server' --listen={rtsp} -p {http_port}".to_owned(),
            feed: "rtsp://{rtsp}/in".to_owned(),
            ..Server::default()
        };
        let at = ServerAddresses {
            rtsp: "10.2.0.5:8554",
            http: "10.2.0.5:8080",
        };
        assert_eq!(
            server.words(at),
            ["the server", "--listen=10.2.0.5:8554", "-p", "8080"]
        );
        assert_eq!(server.feed(at), "rtsp://10.2.0.5:8554/in");
        assert_eq!(server.stream(at), "rtsp://10.2.0.5:8554/xr");
    }
}
