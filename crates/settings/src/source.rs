//! A source of pictures as it is written.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{UnitError, without_passwords};

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A video file, looped.
    File(PathBuf),
    /// A moving test pattern.
    Test,
    /// A GStreamer launch line that ends in raw video.
    Launch(String),
}

impl FromStr for SourceSpec {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        if text.contains('\0') {
            return Err(UnitError(
                "a source becomes an argument of a program, which can hold no NUL".to_owned(),
            ));
        }
        match text.split_once(':') {
            None if text == "test" => Ok(Self::Test),
            Some(("file", path)) if uri(path).starts_with("//") => Err(UnitError(format!(
                "'{text}' is a URI, and what follows `file:` is a path as it is: write file:{}",
                path_of_uri(uri(path))
            ))),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("gst", line)) if !line.trim().is_empty() => Ok(Self::Launch(line.to_owned())),
            _ => Err(UnitError(format!(
                "'{}' is no source; write file:PATH for a video file, test for a moving pattern, or gst:LAUNCH for a \
                 GStreamer launch line that ends in raw video",
                without_passwords(text)
            ))),
        }
    }
}

/// What follows `file:` for the second time, or else all of it.
fn uri(path: &str) -> &str {
    path.strip_prefix("file:").unwrap_or(path)
}

/// The path that a `file:` URI names, from what follows its scheme: `//HOST/PATH`, with bytes as `%20`.
fn path_of_uri(uri: &str) -> String {
    let path = uri.trim_start_matches('/');
    let path = if uri.starts_with("///") {
        path
    } else {
        path.split_once('/').map_or(path, |(_host, path)| path)
    };
    let mut bytes = vec![b'/'];
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        if let Some(byte) = code.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Test => f.write_str("test"),
            Self::Launch(line) => write!(f, "gst:{line}"),
        }
    }
}

by_text!(
    SourceSpec,
    "a source in quotes, such as \"test\" or \"file:media/film.mp4\""
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in [
            "test",
            "file:media/a film.mp4",
            "file:C:/x",
            "file:/media/12:30 100%.mp4",
            "gst:videotestsrc ! identity",
        ] {
            assert_eq!(text.parse::<SourceSpec>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "tests",
            "file:",
            "gst: ",
            "media/a.mp4",
            "http://host/film.mp4",
        ] {
            let error = text.parse::<SourceSpec>().unwrap_err().to_string();
            assert!(error.contains("file:PATH"), "{error}");
        }
        for text in ["gst:videotestsrc\0", "file:a\0b"] {
            let error = text.parse::<SourceSpec>().unwrap_err().to_string();
            assert!(error.contains("no NUL"), "{error}");
        }
        let error = "rtsp://me:secret@cam/live".parse::<SourceSpec>();
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_uri_is_refused_with_the_path_that_it_names() {
        for (uri, path) in [
            ("file:///media/a%20film.mp4", "file:/media/a film.mp4"),
            ("file:file:///media/a%20film.mp4", "file:/media/a film.mp4"),
            (
                "file://localhost/100%25/%c3%a4.mp4",
                "file:/100%/\u{e4}.mp4",
            ),
            ("file://", "file:/"),
            ("file:///a%2", "file:/a%2"),
        ] {
            let read = uri.parse::<SourceSpec>();
            let said = read.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(said.ends_with(path), "{uri}: {said}");
        }
    }
}
