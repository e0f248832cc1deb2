//! What is wrong with a source, and what would help.

use settings::launch_without_secrets;

/// The reason why a source gives no pictures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}; name a readable video file")]
    Unreadable {
        path: String,
        /// What the system says.
        cause: String,
    },
    /// The file has several videos, and nobody says which is the film.
    #[error(
        "'{path}' has {count} video streams ({streams}): keep the one that is the film, as by \
         ffmpeg -i '{path}' -map 0:v:1 -c copy film.mkv, and name that file"
    )]
    SeveralVideos {
        path: String,
        count: usize,
        /// The size and rate of each.
        streams: String,
    },
    /// The file has no video.
    #[error(
        "{path} has no video, only {streams}; name a file with a video stream (ffprobe lists them)"
    )]
    NoVideo {
        path: String,
        /// What it has instead.
        streams: String,
    },
    /// The file's video is in a codec that this machine does not decode.
    #[error(
        "this machine has no decoder for {codec}, which is what {path} holds; install gstreamer1.0-libav and gstreamer1.0-plugins-bad, or convert the file: ffmpeg -i IN -c:v libx264 OUT.mp4"
    )]
    NoDecoder { path: String, codec: String },
    /// The file is no media file, or is damaged.
    #[error("{path} is broken or no video file: {cause}; check that it plays: ffprobe {path}")]
    Broken {
        /// The file, or the launch line.
        path: String,
        /// What the demuxer or decoder says.
        cause: String,
    },
    /// The launch line, here without its secrets, cannot be built.
    #[error(
        "the launch line '{line}' cannot be built: {cause}; it must end in raw video, as in gst:videotestsrc pattern=ball, and gst-launch-1.0 shows what is wrong with it"
    )]
    Launch { line: String, cause: String },
    /// The launch line, here without its secrets, was built, and failed before its first picture or after it.
    #[error(
        "the launch line '{line}' fails: {cause}; try it alone, as gst-launch-1.0 LINE ! fakesink, which shows the same"
    )]
    Failed { line: String, cause: String },
    /// Nothing came, and nothing failed.
    #[error("{source_name} gave no picture within {seconds} s; {remedy}")]
    Silent {
        source_name: String,
        /// How long was waited.
        seconds: u64,
        /// What would help.
        remedy: String,
    },
    /// The machine lacks what a source needs.
    #[error("{0}")]
    Pipeline(String),
}

impl SourceError {
    /// That `line` cannot be built, because of `cause`. Elements repeat their properties in what they say.
    pub(super) fn unbuilt(line: &str, cause: &str) -> Self {
        Self::Launch {
            line: launch_without_secrets(line),
            cause: launch_without_secrets(cause),
        }
    }

    /// That `line` failed while it ran, because of `cause`.
    pub(super) fn failed(line: &str, cause: &str) -> Self {
        Self::Failed {
            line: launch_without_secrets(line),
            cause: launch_without_secrets(cause),
        }
    }
}

impl From<crate::Error> for SourceError {
    fn from(error: crate::Error) -> Self {
        Self::Pipeline(error.to_string())
    }
}
