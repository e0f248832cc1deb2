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
        match text.split_once(':') {
            None if text == "test" => Ok(Self::Test),
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
        let error = "rtsp://me:secret@cam/live".parse::<SourceSpec>();
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
