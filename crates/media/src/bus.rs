//! What a pipeline says on its bus, as errors that name the element and the cause.

use gstreamer as gst;
use gstreamer::prelude::*;
use settings::without_passwords;

/// The failure of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {cause}")]
pub struct PipelineError {
    /// The element that failed, by name.
    pub element: String,
    /// GStreamer's message, with the detail for debugging where that says more; without the passwords of addresses.
    pub cause: String,
    /// GStreamer's domain and code, which decide what to do.
    pub kind: Kind,
}

/// GStreamer's domain of an error, and the code in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An error of the pipeline itself.
    Core(gst::CoreError),
    /// A library below an element.
    Library(gst::LibraryError),
    /// A file, a device or a connection.
    Resource(gst::ResourceError),
    /// An error in the stream's bytes.
    Stream(gst::StreamError),
    /// A domain of an element's own.
    Other,
}

/// A sentence of GStreamer that decides something, because no code does.
#[derive(Debug)]
pub struct Sentence {
    /// The kind of error that it says it with, among others.
    kind: Kind,
    text: &'static str,
}

/// rtspsrc's control connection is gone. A timeout and a broken message have the same code.
pub const SERVER_CLOSED: &Sentence = &Sentence {
    kind: Kind::Resource(gst::ResourceError::Read),
    text: "The server closed the connection.",
};

impl PipelineError {
    /// Whether this is what `sentence` says.
    pub fn says(&self, sentence: &Sentence) -> bool {
        self.kind == sentence.kind && self.cause.contains(sentence.text)
    }
}

impl From<&gst::glib::Error> for Kind {
    fn from(error: &gst::glib::Error) -> Self {
        None.or_else(|| error.kind().map(Self::Core))
            .or_else(|| error.kind().map(Self::Library))
            .or_else(|| error.kind().map(Self::Resource))
            .or_else(|| error.kind().map(Self::Stream))
            .unwrap_or(Self::Other)
    }
}

/// What a program must know of a running pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusEvent {
    /// The pipeline does not go on.
    Failed(PipelineError),
    /// Something is wrong, and the pipeline goes on.
    Warned(PipelineError),
    /// The stream came to its end.
    Ended,
    /// An element's latency changed: whoever owns the pipeline should call `recalculate_latency`.
    LatencyChanged,
}

/// What `message` means, if it matters here.
pub fn event(message: &gst::Message) -> Option<BusEvent> {
    use gst::MessageView;

    match message.view() {
        MessageView::Error(error) => Some(BusEvent::Failed(failure(
            message,
            &error.error(),
            error.debug().as_deref(),
        ))),
        MessageView::Warning(warning) => Some(BusEvent::Warned(failure(
            message,
            &warning.error(),
            warning.debug().as_deref(),
        ))),
        MessageView::Eos(_) => Some(BusEvent::Ended),
        MessageView::Latency(_) => Some(BusEvent::LatencyChanged),
        _ => None,
    }
}

/// Calls `report` with every event of `pipeline`, in the thread that posted it: it must be quick and must not change the
/// pipeline's state. Sending on a channel is what it is for. Nothing needs a main loop.
pub fn watch(pipeline: &gst::Pipeline, report: impl Fn(BusEvent) + Send + Sync + 'static) {
    let Some(bus) = pipeline.bus() else { return };
    bus.set_sync_handler(move |_, message| {
        if let Some(event) = event(message) {
            report(event);
        }
        gst::BusSyncReply::Drop
    });
}

/// Ends what [`watch`] began; whatever `report` holds is dropped.
pub fn unwatch(pipeline: &gst::Pipeline) {
    if let Some(bus) = pipeline.bus() {
        bus.unset_sync_handler();
    }
}

fn failure(message: &gst::Message, error: &gst::glib::Error, debug: Option<&str>) -> PipelineError {
    let element = message
        .src()
        .map_or_else(|| "pipeline".to_owned(), |source| source.name().to_string());
    // The debug text is "file.c(line): function (): /path/of/element:\ndetail"; only the detail is for people.
    let detail = debug
        .and_then(|text| text.split_once('\n'))
        .map(|(_, detail)| detail.trim())
        .filter(|d| !d.is_empty());
    let cause = match detail {
        Some(detail) => format!("{} ({detail})", error.message().trim()),
        None => error.message().trim().to_owned(),
    };
    PipelineError {
        element,
        cause: without_passwords(&cause).into_owned(),
        kind: Kind::from(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_error_names_the_element_and_the_cause() {
        crate::init().unwrap();
        let pipeline = gst::Pipeline::new();
        let source = gst::ElementFactory::make("filesrc")
            .name("reader")
            .property("location", "/nonexistent/film.mp4")
            .build()
            .unwrap();
        let sink = crate::element("fakesink").unwrap();
        pipeline.add_many([&source, &sink]).unwrap();
        source.link(&sink).unwrap();
        let (sender, events) = mpsc::channel();
        watch(&pipeline, move |event| drop(sender.send(event)));
        assert!(pipeline.set_state(gst::State::Playing).is_err());
        let BusEvent::Failed(error) = events.recv().unwrap() else {
            panic!("not an error")
        };
        assert_eq!(error.element, "reader");
        assert_eq!(error.kind, Kind::Resource(gst::ResourceError::NotFound));
        assert!(error.cause.contains("/nonexistent/film.mp4"), "{error}");
        unwatch(&pipeline);
        pipeline.set_state(gst::State::Null).unwrap();
        // It ends only because the handler, and with it the sender, is gone.
        assert!(
            events
                .iter()
                .all(|event| matches!(event, BusEvent::Failed(_)))
        );
    }

    /// The installed plugin holds each sentence that decides something.
    #[test]
    fn the_installed_version_says_what_decides() {
        crate::init().unwrap();
        let Sentence { text, .. } = SERVER_CLOSED;
        let plugin = gst::Registry::get().find_plugin("rtsp").unwrap();
        let code = std::fs::read(plugin.filename().unwrap()).unwrap();
        let held = code
            .windows(text.len())
            .any(|bytes| bytes == text.as_bytes());
        assert!(
            held,
            "{} {} has no {text:?}",
            plugin.plugin_name(),
            plugin.version()
        );
    }
}
