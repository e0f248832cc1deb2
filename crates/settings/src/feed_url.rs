//! The address of a feed.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::UnitError;
use crate::address::port_of;

/// The address of a feed: `http://HOST[:PORT]/feeds/NAME` or the same with `https`, `roq://HOST:PORT/NAME`, or `rtsp://HOST[:PORT]/PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedUrl {
    method: FeedMethod,
    /// Whether the HTTP of [`FeedMethod::Put`] goes over TLS.
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

/// How frames travel to the address of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedMethod {
    /// In the body of an HTTP request, to xr-streamer.
    Put,
    /// As RTP over QUIC, to xr-streamer.
    Quic,
    /// By RTSP RECORD, to any server that takes it.
    Record,
}

/// The longest name of a feed.
const MAX_NAME: usize = 64;

/// The longest path of an RTSP server.
const MAX_PATH: usize = 512;

impl FeedUrl {
    /// How frames travel to it.
    pub const fn method(&self) -> FeedMethod {
        self.method
    }

    /// The word before `://`.
    pub const fn scheme(&self) -> &'static str {
        match self.method {
            FeedMethod::Put if self.is_tls => "https",
            FeedMethod::Put => "http",
            FeedMethod::Quic => "roq",
            FeedMethod::Record => "rtsp",
        }
    }

    /// The name or address of the streamer, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the streamer; the scheme's own where the address names none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What goes into the request's `Host`.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// The path that takes the feed.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last part of the path: where the path has no other, the feed's name.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The path whose events ask for key frames.
    pub fn events_path(&self) -> String {
        format!("{}/events", self.path)
    }
}

impl FromStr for FeedUrl {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = |why: &str| Err(UnitError(why.to_owned()));
        let uri: Uri = text
            .parse()
            .map_err(|error| UnitError(format!("it is no URL ({error})")))?;
        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let method = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP || is_tls => FeedMethod::Put,
            Some(scheme) if scheme.as_str() == "rtsp" => FeedMethod::Record,
            Some(scheme) if scheme.as_str() == "roq" => FeedMethod::Quic,
            _ => {
                return wrong("it begins with none of https://, http://, roq:// and rtsp://");
            }
        };
        if uri.query().is_some() {
            return wrong("a feed has no query");
        }
        let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return wrong("it holds a user name; a token is given by --token-file or XR_TOKEN");
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.is_empty() {
            return wrong("it names no host");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let path = uri.path();
        match method {
            FeedMethod::Put | FeedMethod::Quic => {
                let prefix = if method == FeedMethod::Put {
                    "/feeds/"
                } else {
                    "/"
                };
                let Some(name) = path.strip_prefix(prefix) else {
                    return wrong(&format!("its path is '{path}' and not {prefix}NAME"));
                };
                if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
                    return wrong(&format!("'{name}' is no name of a feed"));
                }
            }
            FeedMethod::Record => {
                let known = |byte: u8| plain(byte) || byte == b'/';
                if path.len() < 2 || path.len() > MAX_PATH || !path.bytes().all(known) {
                    return wrong(&format!("its path is '{path}' and not /PATH"));
                }
            }
        }
        let usual = match method {
            FeedMethod::Put if is_tls => Some(443),
            FeedMethod::Put => Some(80),
            FeedMethod::Record => Some(554),
            FeedMethod::Quic => None,
        };
        let Some(port) = port_of(&uri)?.or(usual) else {
            return wrong("it names no port, and QUIC has none of its own");
        };
        Ok(Self {
            method,
            is_tls,
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for FeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_are_read() {
        let url: FeedUrl = "http://streamer.xr.svc:8080/feeds/Head_1.left-eye"
            .parse()
            .unwrap();
        assert_eq!((url.host(), url.port()), ("streamer.xr.svc", 8080));
        assert_eq!(url.events_path(), "/feeds/Head_1.left-eye/events");
        let six: FeedUrl = "http://[fd00::1]/feeds/a".parse().unwrap();
        assert_eq!((six.host(), six.port()), ("fd00::1", 80));
        assert_eq!(six.to_string(), "http://[fd00::1]:80/feeds/a");
        let safe: FeedUrl = "https://streamer/feeds/a".parse().unwrap();
        assert_eq!((safe.scheme(), safe.port()), ("https", 443));
        assert_eq!(safe.to_string(), "https://streamer:443/feeds/a");
        let other: FeedUrl = "rtsp://server/live/xr".parse().unwrap();
        assert_eq!(
            (six.method(), other.method()),
            (FeedMethod::Put, FeedMethod::Record)
        );
        assert_eq!(other.to_string(), "rtsp://server:554/live/xr");
        let quic: FeedUrl = "roq://[fd00::1]:8555/left-eye".parse().unwrap();
        assert_eq!(
            (quic.method(), quic.name(), quic.port()),
            (FeedMethod::Quic, "left-eye", 8555)
        );
        assert_eq!(quic.to_string(), "roq://[fd00::1]:8555/left-eye");
    }

    #[test]
    fn what_is_no_feed_is_named() {
        for (text, why) in [
            ("", "no URL"),
            ("streamer:8080/feeds/a", "no URL"),
            ("https://h/feed/a", "/feeds/NAME"),
            ("https://me:secret@h/feeds/a", "--token-file"),
            ("rtsp://me:secret@h/a", "--token-file"),
            ("ftp://h/feeds/a", "http://"),
            ("rtsp://h", "/PATH"),
            ("rtsp://h/a%20b", "/PATH"),
            ("http://h/feed/a", "/feeds/NAME"),
            ("http://h/feeds/", "no name"),
            ("http://h/feeds/a/b", "no name"),
            ("http://h/feeds/a%20b", "no name"),
            ("http://h/feeds/a?x=1", "query"),
            ("http://h:99999/feeds/a", "between 1 and 65535"),
            ("rtsp://[::1]:0/a", "between 1 and 65535"),
            ("http://me:secret@h/feeds/a", "--token-file"),
            ("roq://me:secret@h:1/a", "--token-file"),
            ("roq://h/a", "no port"),
            ("roq://h:8555/feeds/a", "no name"),
            ("roq://h:8555/", "no name"),
            (&format!("http://h/feeds/{}", "n".repeat(65)), "no name"),
        ] {
            let error = text.parse::<FeedUrl>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
