//! The address of a stream.

use http::Uri;
use http::uri::Authority;

use crate::UnitError;
use crate::address::port_of;

/// The scheme of RTSP over TLS.
pub const RTSPS_SCHEME: &str = "rtsps";

/// The scheme of streams over QUIC.
pub const QUIC_SCHEME: &str = "roq";

/// Schemes of the addresses that a client can play.
const SCHEMES: [&str; 3] = ["rtsp", RTSPS_SCHEME, QUIC_SCHEME];

/// Checks the address of a stream: `rtsp://HOST[:PORT]/NAME`, the same with `rtsps`, or `roq://HOST:PORT/NAME`.
pub fn check_stream_url(text: &str) -> Result<(), UnitError> {
    let wrong = |why: &str| Err(UnitError(why.to_owned()));
    let uri: Uri = text
        .parse()
        .map_err(|error| UnitError(format!("this is no URL: {error}")))?;
    match uri.scheme_str() {
        Some(scheme) if SCHEMES.contains(&scheme) => {}
        Some(other) => {
            let [rtsp, rtsps, quic] = SCHEMES;
            return wrong(&format!(
                "this client speaks {rtsp}, {rtsps} and {quic}, not {other}"
            ));
        }
        None => return wrong("the scheme rtsp:// is missing"),
    }
    let authority = uri.authority().map_or("", Authority::as_str);
    if authority.contains('@') {
        return wrong(
            "it holds a user, which process lists and logs would show: for a server that asks for one there are --user (XR_RTSP_USER) and \
             --password-file (XR_PASSWORD_FILE), or XR_PASSWORD",
        );
    }
    if uri.host().is_none_or(str::is_empty) {
        return wrong("the host is missing");
    }
    let port = port_of(&uri)?;
    if uri.scheme_str() == Some(QUIC_SCHEME) && port.is_none() {
        return wrong("the port is missing, and QUIC has none of its own");
    }
    if uri.path().trim_matches('/').is_empty() {
        return wrong("the name of the stream is missing");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_from_what_is_none() {
        for text in [
            "rtsp://streamer.default.svc/demo",
            "rtsp://[::1]:8554/demo?x=1",
            "rtsps://camera:322/live/left",
            "roq://streamer:8555/demo",
        ] {
            assert_eq!(check_stream_url(text), Ok(()), "{text}");
        }
        for (text, why) in [
            ("http://h:8554/demo", "rtsp, rtsps and roq, not http"),
            ("h:8554/demo", "no URL"),
            ("not a url", "no URL"),
            ("/demo", "scheme"),
            ("rtsp://me:secret@h/demo", "--password-file"),
            ("rtsp://:8554/demo", "host"),
            ("rtsp://h:99999/demo", "between 1 and 65535"),
            ("rtsp://[::1]:0/demo", "between 1 and 65535"),
            ("roq://h/demo", "port is missing"),
            ("rtsp://h:8554", "name of the stream"),
            ("rtsp://h:8554//", "name of the stream"),
        ] {
            let error = check_stream_url(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
