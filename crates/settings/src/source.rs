//! A source of pictures as it is written.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::{UnitError, launch_without_secrets};

/// Where pictures come from. `Display` and `Debug` have `***` for the secrets of a launch line: what they say goes into logs.
#[derive(Clone, PartialEq, Eq)]
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
                launch_without_secrets(text)
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

impl SourceSpec {
    /// The source as it is written, secrets included: for whoever hands it on, and for nobody who shows it.
    pub fn as_written(&self) -> String {
        match self {
            Self::File(path) => format!("file:{}", path.display()),
            Self::Test => "test".to_owned(),
            Self::Launch(line) => format!("gst:{line}"),
        }
    }

    /// Whether the source holds a user, a password or another secret.
    pub fn has_secret(&self) -> bool {
        self.as_written() != self.to_string()
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(line) => write!(f, "gst:{}", launch_without_secrets(line)),
            plain => f.write_str(&plain.as_written()),
        }
    }
}

impl fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceSpec({self})")
    }
}

by_text!(
    SourceSpec,
    "a source in quotes, such as \"test\" or \"file:media/film.mp4\"",
    SourceSpec::as_written
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
            let read = text.parse::<SourceSpec>().unwrap();
            assert_eq!(read.to_string(), text);
            assert!(!read.has_secret(), "{text}");
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

    /// What opens a source and what hands it on have all of it; what shows it does not.
    #[test]
    fn a_launch_line_is_shown_without_its_secrets() {
        for line in [
            "gst:rtspsrc location=rtsp://me:secret@cam ! decodebin",
            "gst:rtspsrc location=rtsp://cam user-id=me user-pw=secret ! decodebin",
        ] {
            let source = line.parse::<SourceSpec>().unwrap();
            for said in [source.to_string(), format!("{source:?}")] {
                assert!(!said.contains("secret") && said.contains("***"), "{said}");
            }
            assert!(source.has_secret());
            assert_eq!(source.as_written(), line);
            assert_eq!(serde_json::to_value(&source).unwrap(), line);
        }
        let error = "rtspsrc user-pw=secret".parse::<SourceSpec>();
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
