//! Starting GStreamer and making elements, with an error that names the Debian package that a machine lacks.

use std::time::Duration;

use gst::glib::LogLevel;
use gstreamer as gst;

/// How long the log has for the last line of a program that `GLib` aborts.
const LAST_LINE: Duration = Duration::from_millis(50);

/// The reason why a pipeline could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// GStreamer itself did not start.
    #[error(
        "GStreamer does not start: {0}; install libgstreamer1.0-0 and gstreamer1.0-plugins-base"
    )]
    Init(String),
    /// An element is not installed, or is installed and does not load.
    #[error(
        "this machine has no GStreamer element '{factory}'; install it: apt-get install {package}"
    )]
    MissingElement {
        /// The element's factory name.
        factory: String,
        /// The Debian 12 package that holds it.
        package: &'static str,
    },
    /// The elements do not fit together, or one refuses its properties.
    #[error("the pipeline cannot be built: {0}")]
    Build(String),
    /// The pipeline was built and does not start.
    #[error("the pipeline does not start: {0}")]
    Start(String),
}

impl From<gst::glib::BoolError> for Error {
    fn from(error: gst::glib::BoolError) -> Self {
        Self::Build(error.message.into_owned())
    }
}

/// Starts GStreamer, and lets `GLib`'s messages go where the program's own go. Every call after the first does nothing.
pub fn init() -> Result<(), Error> {
    gst::init().map_err(|error| Error::Init(error.to_string()))?;
    // GLib would write to stderr in the thread that complains, and wait there for whoever reads it.
    gst::glib::log_set_default_handler(log_message);
    Ok(())
}

fn log_message(domain: Option<&str>, level: LogLevel, message: &str) {
    let domain = domain.unwrap_or("GLib");
    match level {
        LogLevel::Error => {
            tracing::error!(domain, "{message}");
            // GLib aborts the process when this returns: the queue of the log needs a moment for its last line.
            std::thread::sleep(LAST_LINE);
        }
        LogLevel::Critical => tracing::error!(domain, "{message}"),
        LogLevel::Warning => tracing::warn!(domain, "{message}"),
        LogLevel::Message => tracing::info!(domain, "{message}"),
        LogLevel::Info | LogLevel::Debug => tracing::debug!(domain, "{message}"),
    }
}

/// Makes the element `factory`.
pub fn element(factory: &str) -> Result<gst::Element, Error> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| Error::MissingElement {
            factory: factory.to_owned(),
            package: package_of(factory),
        })
}

/// The Debian 12 package that holds `factory`, as far as this project uses it.
pub(crate) fn package_of(factory: &str) -> &'static str {
    match factory {
        "x264enc" => "gstreamer1.0-plugins-ugly",
        "openh264enc" | "openh264dec" | "h264parse" | "tsdemux" | "mpegtsmux" | "vah264enc"
        | "nvh264enc" | "msdkh264enc" | "qsvh264enc" => "gstreamer1.0-plugins-bad",
        "rtspclientsink" => "gstreamer1.0-rtsp",
        "vaapih264enc" => "gstreamer1.0-vaapi",
        "rtspsrc" | "rtph264pay" | "rtph264depay" | "rtpjitterbuffer" | "rtpbin"
        | "rtpstreampay" | "rtpstreamdepay" | "udpsrc" | "udpsink" | "matroskamux"
        | "matroskademux" | "mp4mux" | "qtmux" | "qtdemux" | "autovideosink" | "v4l2src"
        | "v4l2h264enc" | "videoflip" => "gstreamer1.0-plugins-good",
        "videoconvertscale" | "videoconvert" | "videoscale" | "appsrc" | "appsink"
        | "decodebin" | "uridecodebin" | "videotestsrc" | "videorate" => {
            "gstreamer1.0-plugins-base"
        }
        "queue" | "identity" | "filesrc" | "filesink" | "capsfilter" | "fakesink" | "tee" => {
            "libgstreamer1.0-0"
        }
        _ if factory.starts_with("av") => "gstreamer1.0-libav",
        _ => "gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_element_says_what_to_install() {
        init().unwrap();
        let error = element("avenc_no_such_thing").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("'avenc_no_such_thing'"), "{text}");
        assert!(
            text.contains("apt-get install gstreamer1.0-libav"),
            "{text}"
        );
    }

    #[test]
    fn what_the_project_uses_is_here() {
        init().unwrap();
        for factory in [
            "x264enc",
            "avdec_h264",
            "rtph264pay",
            "videoconvertscale",
            "appsrc",
            "decodebin",
            "rtspclientsink",
        ] {
            element(factory).unwrap();
        }
    }
}
