//! What an RTSP connection begins with, by which it is told from others before the RTSP server has it. Pure.

use std::time::Duration;

/// How long a connection may be silent at first.
pub(super) const FIRST_BYTES: Duration = Duration::from_secs(10);

/// The answer to what does not begin like RTSP.
pub(super) const BAD_REQUEST: &[u8] = b"RTSP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n";

/// What begins every request of RTSP 1.0 (RFC 2326 section 6.1), and the answers that a client may send.
const BEGINNINGS: [&[u8]; 12] = [
    b"OPTIONS ",
    b"DESCRIBE ",
    b"SETUP ",
    b"PLAY ",
    b"PAUSE ",
    b"TEARDOWN ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"ANNOUNCE ",
    b"RECORD ",
    b"REDIRECT ",
    b"RTSP/",
];

/// Whether `bytes` can be the beginning of an RTSP message; none if there are too few to say.
pub fn begins_rtsp(bytes: &[u8]) -> Option<bool> {
    if BEGINNINGS
        .iter()
        .any(|beginning| bytes.starts_with(beginning))
    {
        return Some(true);
    }
    let possible = BEGINNINGS
        .iter()
        .any(|beginning| beginning.starts_with(bytes));
    if possible { None } else { Some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rtsp_is_told_from_the_rest() {
        assert_eq!(begins_rtsp(b"OPTIONS rtsp://x/"), Some(true));
        assert_eq!(begins_rtsp(b"RTSP/1.0 200 OK"), Some(true));
        assert_eq!(begins_rtsp(b"DESC"), None);
        for foreign in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x03\x01",
            b"\0\0\0\0",
            b"options x",
            b"$\0\0\x04",
        ] {
            assert_eq!(begins_rtsp(foreign), Some(false), "{foreign:?}");
        }
    }
}
